"""Imported once in a run's forkserver: what every step would do again, importing the definitions' modules above all."""

from dagster_project.definitions import defs
from ml.provenance.coordinates import environment_coordinate, git_state
from ml.provenance.source import ROOT

defs()
environment_coordinate()
git_state(ROOT)
