"""Work that a run's forkserver does once for all of its steps: loading the definitions above all."""

from dagster_project.definitions import defs
from ml.provenance.coordinates import environment_coordinate, git_state
from ml.provenance.source import ROOT

defs().get_repository_def().get_all_jobs()
environment_coordinate()
git_state(ROOT)
