"""Work that a run's forkserver does once for all of its steps: importing the definitions' modules above all."""

from dagster_project.definitions import defs
from ml.provenance.coordinates import environment_coordinate, git_state
from ml.provenance.source import ROOT

defs()
environment_coordinate()
git_state(ROOT)
