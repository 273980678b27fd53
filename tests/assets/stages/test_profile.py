"""The asset profile: its page and figures, what makes it again, and that nothing waits for it."""

from pathlib import Path
from typing import Any

import dagster as dg

from assets.framework.case import Case
from assets.graph import all_assets
from dagster_project.components import UseCase
from dagster_project.definitions import resources
from ml.profile.record import Profile
from ml.provenance.stamp import read_stamp
from resources.ledger import Ledger
from resources.storage import Storage
from tests.support.small import Small, failure

NAMES = {"examples", "raw/rows", "profile"}


def metadata() -> dict[str, Any]:
    with dg.DagsterInstance.get() as instance:
        record = instance.fetch_materializations(dg.AssetKey(["small", "profile"]), limit=1).records[0]
    assert record.asset_materialization is not None
    return dict(record.asset_materialization.metadata)


def run(small: Small, **changes: Any) -> dict[str, Any]:
    done = small.attempt("profile", upstream=True, **changes)
    assert done.success, failure(done)
    assert {
        "/".join(event.asset_key.path[1:]) for event in done.get_asset_materialization_events() if event.asset_key
    } == NAMES
    return metadata()


def test_the_page_opens_from_the_ui_and_is_reused_and_shown_anew_by_its_words(small: Small) -> None:
    first = run(small)

    page = Path(first["report file"].value.removeprefix("file://"))
    stored = Ledger().latest_result("small/profile")
    assert stored is not None
    profile: Profile = Storage().load(stored)
    stamp = read_stamp(page)
    assert stamp is not None
    assert (stamp.coordinates, stamp.intact) == (profile.coordinates, True)
    assert first["report"].value.endswith("/profile.html")
    assert "x" in first["columns in short"].value
    assert first["what columns tell of each other" if len(profile.heatmap) > 1 else "what to look at"].value
    assert first["columns"].value == len(profile.columns) == 1
    assert not {"reused", "shown anew"} & set(first)

    again = run(small)
    assert "reused" in again
    assert "shown anew" not in again
    described = run(small, description="Which one, then?")
    assert {"reused", "shown anew"} <= set(described)
    assert "Which one, then?" in Path(described["report file"].value.removeprefix("file://")).read_text()
    assert "reused" in run(small, models={"logistic": {"trials": 3}}, metric="log_loss", description="Which one, then?")


def graph(small: Small, **changes: Any) -> Any:
    assets = all_assets(Case("small", UseCase.model_validate(small.declared(**changes))))
    return dg.Definitions(assets=assets, resources=resources()).resolve_asset_graph()


def test_nothing_waits_for_it_and_it_waits_for_the_tables_that_columns_come_from(small: Small) -> None:
    other = {"source": {"path": str(small.rows)}, "key": "id"}
    tables = {**small.declared()["tables"], "linked": other, "other": other}

    profile = graph(small, tables=tables, relationships=["rows.x -> linked.id"]).get(dg.AssetKey(["small", "profile"]))

    assert profile.child_keys == set()
    assert {parent.path[-1] for parent in profile.parent_keys} == {"examples", "rows", "linked"}


def test_a_run_starts_it_before_what_else_it_could_start(small: Small) -> None:
    assets = all_assets(Case("small", UseCase.model_validate(small.declared())))

    priorities = {asset.key.path[-1]: asset.op.tags.get("dagster/priority", "0") for asset in assets}

    assert {name for name, priority in priorities.items() if priority != "0"} == {"profile"}
