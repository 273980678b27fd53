"""The test for leaks finds one where there is one, and none where there is none."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from ml.base.sql import DataError
from ml.declaration.gate_kinds.leaks import LeakGate
from ml.declaration.use_case import UseCaseSpec
from ml.evaluation.record import Evaluation, LeakAudit
from ml.examples.build import make_examples
from ml.features.define import define_features
from ml.features.definitions import FeatureDefinitions
from ml.features.leaks import leaking, no_leak, sampled
from ml.tables.sources import load_table


@pytest.fixture
def spec(tmp_path: Path) -> UseCaseSpec:
    random = np.random.default_rng(0)
    asked_at = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(300), unit="h")
    orders = pd.DataFrame({"id": range(300), "shop": random.choice(["a", "b"], 300), "asked": asked_at})
    orders = orders.assign(
        paid=asked_at + pd.to_timedelta(random.integers(1, 50, 300), unit="h"), days=random.random(300)
    )
    orders.to_csv(tmp_path / "orders.csv", index=False)
    days = pd.date_range("2024-01-01", periods=20)
    pd.DataFrame({"shop": "a", "at": days, "rain": random.random(20)}).to_csv(tmp_path / "weather.csv", index=False)
    return UseCaseSpec.model_validate(
        {
            "description": "Late?",
            "tables": {
                "orders": {
                    "source": {"path": str(tmp_path / "orders.csv")}, "key": "id", "time": "asked",
                    "known_at": {"paid": ["days"]},
                },
                "weather": {"source": {"path": str(tmp_path / "weather.csv")}, "key": ["shop", "at"], "time": "at"},
            },
            "relationships": ["orders.shop -> weather.shop"],
            "examples": {
                "table": "orders", "cutoff": "asked", "target": "days > 0.5",
                "split": {"train_until": "2024-01-05", "validate_until": "2024-01-09"},
            },
            "features": {"history": {"table": "orders", "group_by": ["shop"], "windows": ["3d"]}},
            "models": {"logistic": {}},
        }
    )  # fmt: skip


def problem(
    spec: UseCaseSpec, leak: str | None = None
) -> tuple[UseCaseSpec, FeatureDefinitions, dict[str, pa.Table], pd.DataFrame]:
    """Return 100 rows to test for leaks, where the feature `leak` reads what is known only later."""
    tables = {name: load_table("shop", name, table, spec.times_of(name)) for name, table in spec.tables.items()}
    rows = tables["orders"].to_pandas()[["id", "asked"]].rename(columns={"asked": "cutoff"})
    definitions = define_features("shop", spec, tables)
    if leak is not None:
        features = [
            each.model_copy(update={"kind": "column", "lookup": None}) if each.name == leak else each
            for each in definitions.features
        ]
        record = {**definitions.record, "days": "number"}
        definitions = FeatureDefinitions(**{**dict(definitions), "features": features, "record": record})
    return spec, definitions, tables, rows.sample(100, random_state=0)


def leaks_of(spec: UseCaseSpec, leak: str | None = None) -> dict[str, int]:
    return leaking(*problem(spec, leak))


def test_what_became_known_before_the_time_of_its_row_is_no_leak(spec: UseCaseSpec) -> None:
    source = Path(str(spec.tables["orders"].source.named))
    orders = pd.read_csv(source, parse_dates=["asked", "paid"])
    orders.assign(paid=orders["asked"] - pd.Timedelta("90min")).to_csv(source, index=False)

    assert leaks_of(spec) == {}


def test_nothing_leaks_from_windows_and_latest_rows(spec: UseCaseSpec) -> None:
    assert leaks_of(spec) == {}


def test_a_feature_that_reads_what_is_known_later_is_named_with_its_rows(spec: UseCaseSpec) -> None:
    leaks = leaks_of(spec, "shop.MEAN(orders_paid.days, Last 3 Days)")

    assert leaks.keys() == {"shop.MEAN(orders_paid.days, Last 3 Days)"}
    assert 0 < leaks["shop.MEAN(orders_paid.days, Last 3 Days)"] <= 60


def test_the_finding_says_in_how_many_rows_which_feature_leaks(spec: UseCaseSpec) -> None:
    leak = "shop.MEAN(orders_paid.days, Last 3 Days)"

    good, bad = no_leak(*problem(spec)), no_leak(*problem(spec, leak))

    assert good.passed
    rows = bad.table[0]["rows"]
    assert bad.reason == (
        f"{leak} changes with the future in {rows} of 100 sampled rows; say in known_at when their columns become known"
    )


def test_a_column_whose_expression_fails_for_scrambled_values_is_looked_at_too(spec: UseCaseSpec) -> None:
    declared = spec.resolved()
    declared["tables"]["orders"]["computed"] = {"month": "make_date(2024, 1 + cast(floor(days * 12) as int), 1)"}
    declared["tables"]["orders"]["known_at"] = {"paid": ["days", "month"]}

    assert leaking(*problem(UseCaseSpec.model_validate(declared))) == {}


def test_a_problem_without_time_has_no_future(spec: UseCaseSpec) -> None:
    declared = spec.resolved()
    declared["examples"] |= {"cutoff": None, "split": {"validation_share": 0.2, "test_share": 0.2}}
    declared |= {"relationships": [], "features": {}}

    assert leaks_of(UseCaseSpec.model_validate(declared)) == {}


START = pd.Timestamp("2024-01-01")


def declared(folder: Path, **orders: Any) -> dict[str, Any]:
    """Return a declaration of 200 orders, asked about as they are placed, and 300 visits of their shops."""
    random = np.random.default_rng(1)
    asked = START + pd.to_timedelta(np.sort(random.integers(0, 86400 * 60, 200)), "s")
    frames = {
        "orders": pd.DataFrame(
            {
                "id": range(200), "shop": random.choice(["a", "b", "c"], 200), "asked": asked, "v": random.random(200),
                "entered": asked + pd.Timedelta("5D"), "left": asked + pd.Timedelta("1D"),
                "came": asked + pd.to_timedelta(random.integers(30, 90, 200), "h"), "days": random.random(200),
                "y": random.integers(0, 2, 200),
            }
        ),
        "visits": pd.DataFrame(
            {
                "visit": range(300), "shop": random.choice(["a", "b", "c"], 300), "v": random.random(300),
                "seen": START + pd.to_timedelta(np.sort(random.integers(0, 86400 * 60, 300)), "s"),
            }
        ),
    }  # fmt: skip
    for name, frame in frames.items():
        frame.to_parquet(folder / f"{name}.parquet")
    history = {"table": "visits", "group_by": ["shop"], "windows": ["30d"], "aggregations": ["mean"]}
    return {
        "description": "Late?",
        "tables": {
            "orders": {"source": {"path": str(folder / "orders.parquet")}, "key": "id", "time": "asked", **orders},
            "visits": {"source": {"path": str(folder / "visits.parquet")}, "key": "visit", "time": "seen"},
        },
        "examples": {
            "table": "orders", "cutoff": "asked", "target": "y = 1",
            "split": {"validation_share": 0.2, "test_share": 0.2},
        },
        "features": {"history": history},
        "models": {"logistic": {}},
    }  # fmt: skip


def audited(values: dict[str, Any], monkeypatch: pytest.MonkeyPatch, without: str | None = None) -> set[str]:
    """Return the features that leak, by the check and by the gate alike, once the guard `without` is not there."""
    with monkeypatch.context() as patch:
        if without is not None:
            patch.setattr(without, {"own_columns": lambda spec: None}.get(without.split(".")[-1], lambda *_: []))
        spec = UseCaseSpec.model_validate(values)
        tables = {name: load_table("shop", name, table, spec.times_of(name)) for name, table in spec.tables.items()}
        definitions = define_features("shop", spec, tables)
        rows = tables["orders"].to_pandas()[["id", "asked"]].rename(columns={"asked": "cutoff"})
        with patch.context() as inner:
            if without == "ml.examples.known.own_columns":
                inner.undo()
            finding = no_leak(spec, definitions, tables, rows)
    evaluation = Evaluation.model_construct(leak_audit=LeakAudit(passed=finding.passed, reason=finding.reason))
    assert LeakGate().judge("roc_auc", evaluation).passed == finding.passed
    return {row["feature"] for row in finding.table}


@pytest.mark.parametrize("late", ["3min", "1h"])
def test_what_is_known_a_little_too_early_is_found_among_many_rows(late: str, spec: UseCaseSpec) -> None:
    """Eleven days of orders, one every other minute, and each is known a little later than it seems."""
    asked = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(8_000) * 2, unit="min")
    orders = {"id": range(8_000), "shop": "a", "asked": asked, "paid": asked + pd.Timedelta(late), "days": 1.0}
    tables = {
        "orders": pa.Table.from_pandas(pd.DataFrame(orders).assign(days=np.arange(8_000) % 7), preserve_index=False),
        "weather": pa.table({"shop": ["a"], "at": pa.array([asked[0]], pa.timestamp("us")), "rain": [1.0]}),
    }
    _, definitions, _, _ = problem(spec)
    early = {
        name: lookup.model_copy(update={"time": "asked"}) if lookup.time == "paid" else lookup
        for name, lookup in definitions.lookups.items()
    }
    rows = tables["orders"].to_pandas()[["id", "asked"]].rename(columns={"asked": "cutoff"})

    sample = sampled(rows, 400, seed=0)

    assert len(sample) == sample["id"].nunique() == 400
    assert leaking(spec, definitions, tables, sample) == {}
    leaks = leaking(spec, definitions.model_copy(update={"lookups": early}), tables, sample)
    assert leaks.get("shop.MEAN(orders_paid.days, Last 3 Days)", 0) >= 1


GUARD = "ml.base.expressions._faults"


def test_without_any_leak_check_and_gate_let_the_features_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = declared(tmp_path, known_at={"came": ["days"]}, computed={"twice": "v * 2"})

    assert audited(values, monkeypatch) == set()


def test_a_window_function_over_a_history_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = declared(tmp_path)
    values["tables"]["visits"]["computed"] = {"apart": "v - avg(v) over (partition by shop)"}
    with pytest.raises(ValueError, match="window function"):
        UseCaseSpec.model_validate(values)

    assert audited(values, monkeypatch, without=GUARD) == {"shop.MEAN(visits_seen.apart, Last 30 Days)"}


def test_a_window_function_over_the_asked_rows_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = declared(tmp_path, computed={"others": "count(*) over (partition by shop)"})
    with pytest.raises(ValueError, match="window function"):
        UseCaseSpec.model_validate(values)

    assert "others" in audited(values, monkeypatch, without=GUARD)  # which may change the order of rows too


@pytest.mark.parametrize("known_at", ["entered", "5d"])
def test_a_row_that_becomes_known_after_the_cutoff_is_no_feature_of_itself(
    known_at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = declared(tmp_path, known_at=known_at, computed={"twice": "v * 2"})
    values["features"] = {}
    with pytest.raises(DataError, match=r"a row of 'orders' is known only from .*name the columns .* examples\.known"):
        audited(values, monkeypatch)

    assert {"v", "days", "twice"} <= audited(values, monkeypatch, without="ml.examples.known.own_columns")


def test_a_history_of_the_examples_own_rows_that_are_known_later_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = declared(tmp_path)
    values["features"]["history"] |= {"table": "orders"}
    assert audited(values, monkeypatch) == set()

    later = values | {"tables": values["tables"] | {"orders": values["tables"]["orders"] | {"known_at": "5d"}}}
    early = UseCaseSpec.model_validate(values)
    tables = {name: load_table("shop", name, table, early.times_of(name)) for name, table in early.tables.items()}
    definitions = define_features("shop", early, tables)
    late = UseCaseSpec.model_validate(later)
    tables["orders"] = load_table("shop", "orders", late.tables["orders"], late.times_of("orders"))
    rows = tables["orders"].to_pandas()[["id", "asked"]].rename(columns={"asked": "cutoff"})

    assert "shop.MEAN(orders_asked.v, Last 30 Days)" in leaking(late, definitions, tables, rows)


def test_what_is_known_before_the_time_of_its_row_is_no_leak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plane may leave before it is due: its delay is known then, though its row happens later."""
    values = declared(tmp_path, known_at={"left": ["v"]})
    orders = pd.read_parquet(tmp_path / "orders.parquet")
    orders["left"] = orders["asked"] - pd.to_timedelta(np.arange(200) % 5 * 12, "h")
    orders.to_parquet(tmp_path / "orders.parquet")
    values["features"]["history"] |= {"table": "orders"}
    values["examples"] |= {"cutoff": "asked - 50h"}

    assert audited(values, monkeypatch) == set()


def test_a_computed_column_is_not_known_before_what_it_is_made_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed = {"more": "days + 1", "most": "more * 2"}
    values = declared(tmp_path, known_at={"left": ["v", "most"], "came": ["days"]}, computed=computed)
    values["features"]["history"] |= {"table": "orders"}
    with pytest.raises(
        DataError, match=r"'most' is declared as known from 'left' .* is computed of 'days', .*'came' on"
    ):
        audited(values, monkeypatch)
    assert "shop.MEAN(orders_left.most, Last 30 Days)" in audited(
        values, monkeypatch, without="ml.tables.computed.check_known"
    )

    values["tables"]["orders"]["known_at"] = {"left": ["v"], "came": ["days", "most"]}

    assert audited(values, monkeypatch) == set()
    assert UseCaseSpec.model_validate(values).tables["orders"].known_later == {
        "left", "came", "v", "days", "more", "most",
    }  # fmt: skip


def test_what_examples_know_of_their_own_row_may_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = declared(tmp_path, known_at="5d", computed={"twice": "v * 2", "sum": "v + days"})
    values["examples"]["known"] = ["shop", "v"]
    spec = UseCaseSpec.model_validate(values)
    tables = {name: load_table("shop", name, table, spec.times_of(name)) for name, table in spec.tables.items()}

    definitions = define_features("shop", spec, tables)

    assert {feature.name for feature in definitions.features} == {
        "shop", "v", "twice", "shop.MEAN(visits_seen.v, Last 30 Days)",
    }  # fmt: skip
    assert definitions.record == {"shop": "text", "asked": "time", "v": "number"}
    assert audited(values, monkeypatch) == set()
    found = audited(values, monkeypatch, without="ml.examples.known.own_columns")
    assert found == {"came", "days", "entered", "left", "sum"} & found
    assert {"days", "sum"} <= found


@pytest.mark.parametrize(
    ("known", "words"),
    [
        (["v", "nothing"], r"examples\.known names \['nothing'\], but the table has"),
        (["v", "y"], r"examples\.known names \['y'\], which belong to the target"),
        (["v", "days"], r"examples\.known names \['days'\], which become known later"),
        (["v", "twice"], r"examples\.known names \['twice'\], which are computed"),
        (["v"], r"features\.history\.group_by names 'shop', .* what examples\.known names, and nothing else"),
    ],
)
def test_what_examples_cannot_know_is_refused(
    known: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = declared(tmp_path, known_at={"came": ["days"]}, computed={"twice": "v * 2"})
    values["examples"]["known"] = known

    with pytest.raises(DataError, match=words):
        audited(values, monkeypatch)


def test_a_query_that_asks_before_the_row_is_known_is_refused(tmp_path: Path) -> None:
    values = declared(tmp_path, known_at="5d")
    split = {"split": {"validation_share": 0.2, "test_share": 0.2}, "table": "orders"}
    query = "select id, asked + interval {} days as cutoff, y = 1 as target from orders"

    def examples(days: int, **known: Any) -> pa.Table:
        spec = UseCaseSpec.model_validate(values | {"examples": {**split, "query": query.format(days), **known}})
        tables = {name: load_table("shop", name, table, spec.times_of(name)) for name, table in spec.tables.items()}
        return make_examples("shop", spec, tables)

    with pytest.raises(DataError, match=r"200 of 200 rows are asked about before their row of 'orders' is known"):
        examples(4)

    assert examples(5).num_rows == examples(4, known=["shop", "v"]).num_rows == 200


@pytest.mark.parametrize(
    ("known_at", "times"),
    [
        ({"seen": ["v"], "paid": ["channel"]}, {"paid"}),
        ({"seen": ["v", "channel"], "paid": ["w"]}, {"seen", "paid"}),
        ({"seen": ["v"], "paid": ["w", "channel"], "9d": ["z"]}, {"paid", "seen+9d"}),  # paid within a week
    ],
)
def test_events_are_grouped_by_what_is_known_of_them_by_then(
    known_at: dict[str, list[str]], times: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A visit is seen at once, but whose it was, and by which channel it came, once it is paid."""
    values = declared(tmp_path)
    visits = pd.read_parquet(tmp_path / "visits.parquet").assign(w=1.0, z=2.0)
    visits["paid"] = visits["seen"] + pd.to_timedelta(np.arange(300) % 7 + 1, "D")
    visits.assign(channel=visits["shop"]).to_parquet(tmp_path / "visits.parquet")
    orders = pd.read_parquet(tmp_path / "orders.parquet")
    orders.assign(channel=orders["shop"]).to_parquet(tmp_path / "orders.parquet")
    values["tables"]["visits"] |= {"known_at": known_at}
    values["features"]["history"] |= {"group_by": ["channel"], "aggregations": ["count"]}

    assert audited(values, monkeypatch) == set()
    spec = UseCaseSpec.model_validate(values)
    tables = {name: load_table("shop", name, table, spec.times_of(name)) for name, table in spec.tables.items()}
    assert {lookup.time for lookup in define_features("shop", spec, tables).lookups.values()} == times


def test_a_group_that_no_event_knows_in_time_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = declared(tmp_path)
    visits = pd.read_parquet(tmp_path / "visits.parquet").rename(columns={"shop": "of"})
    visits["paid"] = visits["seen"] + pd.Timedelta("1D")
    visits["rated"] = visits["seen"] + pd.to_timedelta(np.arange(300) % 3 * 18, "h")
    visits.to_parquet(tmp_path / "visits.parquet")
    visit = values["tables"]["visits"]
    visit |= {"known_at": {"paid": ["of"], "rated": ["v"]}, "computed": {"shop": "if(v > 0, of, '')"}}
    assert "does not know it yet: known_at says that it is known later" in _refusal(values, monkeypatch)

    visit["computed"] = {"shop": "lower(of)"}
    assert "no column that becomes known, with its group or after it, is a number" in _refusal(values, monkeypatch)

    visit["known_at"] = {"paid": ["of", "v"], "rated": ["visit"]}
    assert audited(values, monkeypatch) == set()


def _refusal(values: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> str:
    with pytest.raises(DataError) as refused:
        audited(values, monkeypatch)
    return str(refused.value)


def test_rows_are_found_by_what_is_known_of_them_by_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Synthesis follows a relationship from the time on at which its column is known."""
    values = declared(tmp_path)
    visits = pd.read_parquet(tmp_path / "visits.parquet")
    visits["paid"] = visits["seen"] + pd.to_timedelta(np.arange(300) % 7 + 1, "D")
    visits.assign(id=np.arange(300) % 200, w=1.0).to_parquet(tmp_path / "visits.parquet")
    values["tables"]["visits"]["known_at"] = {"paid": ["id", "w"]}
    values |= {"relationships": ["visits.id -> orders.id"]}
    values["features"] = {"synthesis": {"aggregations": ["count", "sum"], "depth": 1}}

    spec = UseCaseSpec.model_validate(values)
    tables = {name: load_table("shop", name, table, spec.times_of(name)) for name, table in spec.tables.items()}
    names = {feature.name for feature in define_features("shop", spec, tables).features}

    assert {"COUNT(visits_paid)", "SUM(visits_paid.w)"} <= names
    assert not names & {"COUNT(visits)", "SUM(visits.v)"}
    assert audited(values, monkeypatch) == set()
