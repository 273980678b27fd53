"""The live project: both UIs in a browser, commands beside them, and a daemon that retrains."""

import json
import re
from typing import TYPE_CHECKING

import dagster as dg
import psutil
import pytest

from .conftest import Live, rows, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.slow


def watched_runs(live: Live) -> list[dg.DagsterRun]:
    with live.instance() as instance:
        return list(instance.get_runs(dg.RunsFilter(job_name="watched_retrain")))


def ticks(live: Live) -> int:
    """Return how often the sensor has looked, so far."""
    with live.instance() as instance:
        states = [state for state in instance.all_instigator_state() if state.name == "watched_new_data"]
        return sum(len(instance.get_ticks(state.instigator_origin_id, state.selector_id)) for state in states)


def test_the_sensor_retrains_once_for_each_content(live: Live) -> None:
    def finished(count: int) -> bool:
        runs = watched_runs(live)
        assert all(run.status is not dg.DagsterRunStatus.FAILURE for run in runs)
        return len([run for run in runs if run.status is dg.DagsterRunStatus.SUCCESS]) == count

    wait_until(lambda: finished(1))
    seen = ticks(live)
    live.arrive("watched", rows(seed=0)[["y", "x", "id"]])
    wait_until(lambda: ticks(live) > seen + 1)
    assert len(watched_runs(live)) == 1

    live.arrive("watched", rows(seed=1))
    wait_until(lambda: finished(2))
    seen = ticks(live)
    wait_until(lambda: ticks(live) > seen + 1)
    assert len(watched_runs(live)) == 2


def test_mlflow_is_one_server_without_processes_that_run_jobs(live: Live) -> None:
    processes = psutil.Process(live.pid).children(recursive=True)
    commands = [" ".join(process.cmdline()) for process in processes if process.is_running()]

    assert len([command for command in commands if "mlflow server" in command]) == 1
    assert len([command for command in commands if "-m uvicorn" in command and "mlflow.server" in command]) == 1
    assert [command for command in commands if "mlflow.server.jobs" in command] == []


def test_the_schedule_is_on_and_starts_the_retrain_job(live: Live) -> None:
    listed = live.command("dagster", "schedule", "list", "-w", "workspace.yaml")

    assert "Schedule: watched_schedule [RUNNING]" in listed.stdout, listed.stdout + listed.stderr
    assert "0 6 1 * *" in listed.stdout


@pytest.fixture(scope="module")
def trained(live: Live) -> Live:
    """With every asset of breast_cancer, launched from a terminal."""
    done = live.command("dg", "launch", "--job", "breast_cancer_retrain")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return live


def test_the_graph_shows_each_use_case_by_stage_and_a_broken_one_with_its_error(trained: Live, page: "Page") -> None:
    page.goto(f"{trained.dagster}/asset-groups")

    for group in ("data", "features", "models", "evaluation", "production"):
        page.get_by_text(f"breast_cancer_{group}", exact=True).first.wait_for()
    page.goto(f"{trained.dagster}/assets/broken/broken")
    page.get_by_text("configs/broken/defs.yaml").first.wait_for()


@pytest.mark.parametrize(
    ("asset", "shown"),
    [
        ("raw/samples", ["The table samples as it is at its source", "Parquet", "Row count", "569", "diagnosis"]),
        ("examples", ["One row per example", "DuckDB", "share positive"]),
        (
            "profile",
            [
                "A look at the examples and their columns",
                "Scikit Learn",
                "what to look at",
                "columns in short",
                "/profile.html",
            ],
        ),
        (
            "features/development",
            ["every value known at the row's cutoff", "DuckDB", "from samples.mean_radius", "double", "string"],
        ),
        ("models/lightgbm", ["The best lightgbm model", "lightgbm", "Optuna", "validation roc_auc", "best parameters"]),
        (
            "evaluation",
            [
                "candidate, champion and a trivial baseline",
                "Scikit Learn",
                "test roc_auc",
                "0.9",
                "ROC curve",
                '"environment": "',
            ],
        ),
        ("production_model", ["The promoted model", "ML Flow", "there is no champion yet", "/#/models/breast_cancer"]),
        ("bento", ["verified by starting it", "bentoml", "largest difference to the batch path"]),
    ],
)
def test_an_asset_page_tells_what_it_is_and_where_it_came_from(
    trained: Live, page: "Page", asset: str, shown: list[str]
) -> None:
    page.goto(f"{trained.dagster}/assets/breast_cancer/{asset}")

    for text in [*shown, "diagnostics", "coordinates id", "MLflow run", '"environment"']:
        page.get_by_text(text).first.wait_for()


@pytest.mark.parametrize(
    ("asset", "plot"), [("evaluation", "ROC curve"), ("profile", "what columns tell of each other")]
)
def test_a_plot_opens_in_the_page(trained: Live, page: "Page", asset: str, plot: str) -> None:
    page.goto(f"{trained.dagster}/assets/breast_cancer/{asset}")

    page.locator("tr", has_text=plot).get_by_text("[Show Markdown]").first.click()

    image = page.locator(f"img[alt='{plot}']")
    image.wait_for()
    assert image.evaluate("image => image.naturalWidth") > 300


def test_the_profile_opens_from_its_link(trained: Live, page: "Page") -> None:
    page.goto(f"{trained.dagster}/assets/breast_cancer/profile")

    page.goto(page.get_by_text(re.compile(r"/profile\.html$")).first.inner_text())

    shown = page.frame_locator("iframe").first
    shown.get_by_text("What to look at").first.wait_for()
    assert shown.locator("table.columns tbody tr").count() == 30


def test_the_links_lead_to_the_mlflow_run_and_back(trained: Live, page: "Page") -> None:
    page.goto(f"{trained.dagster}/assets/breast_cancer/models/lightgbm")

    there = page.get_by_text(re.compile(r"/#/experiments/\d+/runs/\w+$")).first.inner_text()  # not that of its study
    page.goto(there)

    page.get_by_text("models/lightgbm").first.wait_for()
    page.get_by_text("validation roc_auc").first.wait_for()
    back = page.get_by_role("link", name="Dagster run").get_attribute("href")
    assert back is not None
    page.goto(back)
    page.get_by_text("breast_cancer_retrain").first.wait_for()


def test_an_asset_materialized_by_a_click_is_reused(trained: Live, page: "Page") -> None:
    page.goto(f"{trained.dagster}/assets/breast_cancer/models/logistic")

    page.get_by_role("button", name="Materialize").first.click()

    def reused() -> bool:
        with trained.instance() as instance:
            event = instance.get_latest_materialization_event(dg.AssetKey(["breast_cancer", "models", "logistic"]))
        return bool(event and event.asset_materialization and "reused" in event.asset_materialization.metadata)

    wait_until(reused)
    page.reload()
    page.get_by_text("reused").first.wait_for()


def test_locate_names_the_run_behind_the_champion(trained: Live) -> None:
    done = trained.command("sextant", "locate", "breast_cancer@champion", "--json")

    record = json.loads(done.stdout)
    with trained.instance() as instance:
        run = instance.get_run_by_id(record["run"]["dagster"])
    assert run is not None
    assert run.job_name == "breast_cancer_retrain"
