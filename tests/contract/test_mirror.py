"""The tests mirror the modules: each has a test file of its name at its place, or is listed with its tests."""

from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("assets", "dagster_project", "ml", "resources", "service", "sextant")

# Modules without a test file of their own, with the test that meets what they do. A * stands for a name, not a folder.
ELSEWHERE = {
    # Parts of a declaration: what they accept is tested where all of it is read, and by the code that reads the part.
    "ml/declaration/*": "ml/declaration/test_use_case.py",
    "ml/declaration/gate_kinds/*": "ml/gates/test_judge.py",
    "ml/declaration/sources/*": "ml/declaration/test_sources.py",
    "ml/declaration/sources/formats/*": "ml/tables/test_several_files.py",
    "ml/declaration/splits/*": "ml/declaration/test_splits.py",
    # Small tools, tested by those who use them.
    "ml/base/references": "ml/gates/test_custom.py",
    "ml/base/seeds": "journeys/test_determinism.py",
    "ml/base/sql": "ml/tables/test_sources.py",
    "ml/provenance/syntax": "ml/provenance/test_source.py",
    "ml/primitives/*": "ml/primitives/test_catalogue.py",
    "ml/tables/types": "ml/tables/test_sources.py",
    "ml/tasks/encoding": "ml/models/test_preparation.py",
    "ml/tasks/sampling": "ml/models/test_family.py",
    "ml/tasks/decided": "ml/evaluation/test_record.py",
    "ml/tasks/errors": "ml/evaluation/test_record.py",
    "ml/tasks/row_weights": "ml/models/test_weights.py",
    "ml/tasks/weighted": "ml/tasks/test_metrics.py",
    "ml/verdict": "ml/gates/test_judge.py",
    # Steps of one computation, tested by its results.
    "ml/compiler/*": "ml/compiler/test_compile.py",
    "ml/draft/*": "ml/draft/test_declaration.py",
    "ml/evaluation/slice_names": "ml/evaluation/test_slices.py",
    "ml/examples/groups": "ml/search/test_folds.py",
    "ml/exported/golden_rows": "assets/promotion/test_decisions.py",
    "ml/exported/model": "assets/stages/test_evaluation.py",
    "ml/exported/onnx": "ml/models/test_catalogue.py",
    "ml/features/definitions": "ml/features/test_matrix.py",
    "ml/features/events": "ml/features/test_matrix.py",
    "ml/features/history_check": "ml/features/test_leak_library.py",
    "ml/features/synthesis_query": "ml/features/test_synthesis.py",
    "ml/features/sums": "ml/features/test_identities.py",
    "ml/features/windows": "ml/features/test_matrix.py",
    "ml/intervals/conformal": "ml/exported/test_reference.py",
    "ml/models/progress": "ml/search/test_tuning.py",
    "ml/search/*": "ml/search/test_tuning.py",
    "ml/windows/frames": "ml/windows/test_window.py",
    "ml/windows/totals": "ml/windows/test_line.py",
    # Every family of models meets the same tests.
    "ml/models/additive": "ml/exported/test_explainer.py",
    "ml/models/base": "ml/models/test_custom.py",
    "ml/models/extras": "ml/models/test_known_settings.py",
    "ml/models/linear": "ml/models/test_catalogue.py",
    "ml/models/trees/*": "ml/models/test_catalogue.py",
    "ml/models/networks/*": "ml/models/networks/test_family.py",
    "ml/models/networks/checkpoints": "ml/models/networks/test_loop.py",
    "ml/models/networks/devices": "ml/models/networks/test_loop.py",
    # Columns and their record are what a profile is made of.
    "ml/profile/columns": "ml/profile/test_profile.py",
    "ml/profile/record": "ml/profile/test_profile.py",
    # Pictures are drawn into the page.
    "ml/report/look": "ml/report/test_page.py",
    "ml/report/pictures": "ml/report/test_page.py",
    "ml/report/plots/*": "ml/report/test_page.py",
    "ml/report/charts": "ml/report/test_profile.py",
    "ml/report/sparks": "ml/report/test_profile.py",
    # What results are stored by, and found by.
    "resources/bentos": "journeys/test_pipeline.py",
    "resources/formats": "resources/test_storage.py",
    "resources/formerly": "journeys/test_stored_before.py",
    "resources/gpu/*": "resources/gpu/test_pool.py",
    "resources/home": "dagster_project/commands/test_demo.py",
    "resources/tracking/*": "resources/tracking/test_registry.py",
    # Assets are run in whole use cases.
    "assets/graph": "journeys/test_pipeline.py",
    "assets/framework/*": "journeys/test_pipeline.py",
    "assets/promotion/*": "assets/promotion/test_decisions.py",
    "assets/stages/*": "journeys/test_pipeline.py",
    # A command prints what a function returns, and is tested with it.
    "dagster_project/commands/check": "ml/draft/test_check.py",
    "dagster_project/commands/diff": "dagster_project/results/test_diff.py",
    "dagster_project/commands/gc": "dagster_project/results/test_gc.py",
    "dagster_project/commands/history": "assets/promotion/test_decisions.py",
    "dagster_project/commands/locate": "dagster_project/results/test_locate.py",
    "dagster_project/commands/new": "dagster_project/location/test_drafting.py",
    "dagster_project/commands/reproduce": "dagster_project/results/test_reproduce.py",
    "dagster_project/commands/retire": "assets/promotion/test_decisions.py",
    "dagster_project/commands/rollback": "assets/promotion/test_decisions.py",
    "dagster_project/results/reproduction/*": "dagster_project/results/test_reproduce.py",
    "dagster_project/runs/decisions": "assets/promotion/test_decisions.py",
    "dagster_project/runs/demo": "dagster_project/commands/test_demo.py",
    "dagster_project/runs/launch": "dagster_project/commands/test_demo.py",
    "dagster_project/runs/options": "assets/promotion/test_decisions.py",
    # The code location, as a whole.
    "dagster_project/components": "dagster_project/test_definitions.py",
    "dagster_project/location/loading": "dagster_project/test_definitions.py",
    "dagster_project/location/scaffolding": "dagster_project/test_definitions.py",
    "dagster_project/preloaded": "dagster_project/commands/test_demo.py",
    "dagster_project/exports/*": "dagster_project/commands/test_export.py",
    # Files are scored by the command.
    "dagster_project/scoring/*": "dagster_project/commands/test_score.py",
    "service/explain/document": "ml/exported/test_explainer.py",
    "service/explain/explainer": "ml/exported/test_explainer.py",
    "service/frames/answers": "service/frames/test_columns.py",
    "service/frames/pyfunc": "resources/tracking/test_pyfunc.py",
    # Objects of Python's face, tested where they are asked for.
    "sextant/*": "sextant/test_models.py",
    # What holds the rows of lookups is tested by what they find.
    "service/tables/lookup_files": "service/history/test_events_lookups.py",
    "service/tables/table": "service/tables/test_lookups.py",
    # A route and a response are tested by what the application answers.
    "service/history/store": "service/history/test_log.py",
    "service/http/endpoint": "service/http/test_app.py",
    # What protocols share is tested by their answers, and the columns of rows by those of records.
    "service/http/schemas": "service/http/test_openapi.py",
    "service/http/tensors": "service/http/test_kserve.py",
    "service/frames/arrays": "service/frames/test_formats.py",
    "service/frames/messages": "service/frames/test_formats.py",
    "service/frames/thrift": "service/frames/test_pages.py",
    "service/frames/times": "service/frames/test_formats.py",
    "service/rpc/inference": "service/rpc/test_server.py",
    "service/predict/columns": "service/predict/test_columnar.py",
    "service/predict/rows": "service/predict/test_columnar.py",
    "service/predict/observed": "service/http/test_batch.py",
    "service/http/figures": "service/http/test_shadow.py",
    "service/http/bentos": "service/http/test_follower.py",
    "service/tables/sent": "service/history/test_events.py",
    "service/predict/explaining": "service/http/test_explaining.py",
    "service/predict/metadata": "service/predict/test_model.py",
    # Tables of use cases that are trained.
    "dagster_project/examples/breast_cancer": "journeys/test_pipeline.py",
    "dagster_project/examples/diabetes": "journeys/test_tasks.py",
    "dagster_project/examples/digits": "journeys/test_tasks.py",
    "dagster_project/examples/nycflights": "journeys/test_flight_delays.py",
    "dagster_project/examples/shop": "journeys/test_customer_churn.py",
}


def modules() -> list[str]:
    """Return the path of each module without its suffix, from the root of the project."""
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py") if file.name != "__init__.py"]
    return sorted(str(file.relative_to(ROOT).with_suffix("")) for file in files)


def mirrored(module: str) -> bool:
    folder, _, name = module.rpartition("/")
    return (ROOT / "tests" / folder / f"test_{name}.py").is_file()


def covers(pattern: str, module: str) -> bool:
    """Check that a pattern of ELSEWHERE means a module."""
    return pattern.count("/") == module.count("/") and fnmatch(module, pattern)


def test_each_module_has_a_test_file_of_its_name_or_its_tests_are_named() -> None:
    without = [module for module in modules() if not mirrored(module)]

    assert [module for module in without if not any(covers(pattern, module) for pattern in ELSEWHERE)] == []


@pytest.mark.parametrize(("pattern", "test"), ELSEWHERE.items())
def test_a_place_that_is_named_exists_and_is_needed(pattern: str, test: str) -> None:
    assert [module for module in modules() if covers(pattern, module) and not mirrored(module)]
    assert (ROOT / "tests" / test).is_file()
