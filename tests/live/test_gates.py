"""Whoever starts a run, a worse model does not become the champion: sensor, click and backfill, by the daemon."""

import json
import re
import urllib.request
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from .conftest import Live, rows, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.slow
PRODUCTION = dg.AssetKey(["guarded", "production_model"])
LAUNCH = """
mutation($assets: [AssetKeyInput!]) {
  launchPartitionBackfill(backfillParams: {assetSelection: $assets, allPartitions: true}) {
    __typename ... on LaunchBackfillSuccess {backfillId} ... on PythonError {message}
  }
}"""


def ended(live: Live, filters: dg.RunsFilter) -> list[dg.DagsterRun]:
    with live.instance() as instance:
        return [run for run in instance.get_runs(filters) if run.is_finished]


def refusal(live: Live, run: dg.DagsterRun) -> str:
    """Return the error of production_model."""
    assert run.status is dg.DagsterRunStatus.FAILURE
    with live.instance() as instance:
        events = [entry.get_dagster_event() for entry in instance.all_logs(run.run_id) if entry.is_dagster_event]
    (failed,) = [event for event in events if event.is_step_failure]
    assert failed.step_key == "guarded__production_model"
    return str(failed.step_failure_data.error)


def champion(live: Live) -> str:
    done = live.command("sextant", "locate", "guarded@champion", "--json")
    return str(json.loads(done.stdout)["id"])


@pytest.fixture(scope="module")
def worse(live: Live) -> tuple[str, dg.DagsterRun]:
    """The champion of the first content, and the sensor's run over the next one, in which x says nothing of y."""
    job = dg.RunsFilter(job_name="guarded_retrain")
    wait_until(lambda: ended(live, job))
    (first,) = ended(live, job)
    assert first.status is dg.DagsterRunStatus.SUCCESS
    before = champion(live)
    live.arrive("guarded", rows(seed=1, noise=100.0))
    wait_until(lambda: len(ended(live, job)) == 2)
    return before, next(run for run in ended(live, job) if run.run_id != first.run_id)


def test_the_sensors_run_is_refused(live: Live, worse: tuple[str, dg.DagsterRun]) -> None:
    before, run = worse

    assert run.tags["dagster/sensor_name"] == "guarded_new_data"
    assert "version 1 stays champion. Refused by the gate roc_auc" in refusal(live, run)
    assert champion(live) == before


def test_a_click_on_materialize_is_refused_and_the_page_says_by_which_gate(
    live: Live, worse: tuple[str, dg.DagsterRun], page: "Page"
) -> None:
    page.goto(f"{live.dagster}/assets/guarded/production_model")

    page.get_by_role("button", name="Materialize").first.click()

    clicked = dg.RunsFilter(job_name="__ASSET_JOB", tags={"dagster/from_ui": "true"})
    wait_until(lambda: [run for run in ended(live, clicked) if run.asset_selection == {PRODUCTION}])
    (run,) = [run for run in ended(live, clicked) if run.asset_selection == {PRODUCTION}]
    assert "Refused by the gate roc_auc" in refusal(live, run)
    assert champion(live) == worse[0]
    page.goto(f"{live.dagster}/runs/{run.run_id}")
    page.get_by_text(re.compile("Refused by the gate roc_auc")).first.wait_for()


def test_a_backfill_is_refused(live: Live, worse: tuple[str, dg.DagsterRun]) -> None:
    assets = [{"path": ["guarded", name]} for name in ("evaluation", "production_model")]
    body = json.dumps({"query": LAUNCH, "variables": {"assets": assets}}).encode()
    request = urllib.request.Request(f"{live.dagster}/graphql", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        launched = json.load(answer)["data"]["launchPartitionBackfill"]
    assert launched["__typename"] == "LaunchBackfillSuccess", launched

    runs = dg.RunsFilter(tags={"dagster/backfill": launched["backfillId"]})
    wait_until(lambda: ended(live, runs))

    (run,) = ended(live, runs)
    assert "Refused by the gate roc_auc" in refusal(live, run)
    assert champion(live) == worse[0]
