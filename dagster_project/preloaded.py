"""Work that a run's forkserver does once for all of its steps: loading the definitions above all."""

from dagster_project import definitions
from ml.provenance.coordinates import environment_coordinate, git_state
from ml.provenance.source import ROOT

loaded = definitions.defs()
loaded.get_repository_def().get_all_jobs()
definitions.defs = loaded  # type: ignore[assignment]  # what Dagster looks for in a step: it need not load them again
environment_coordinate()
git_state(ROOT)
