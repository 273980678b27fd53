"""Features: known answers, and nothing from after the cutoff."""

from typing import Any, get_args

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from ml.declaration.features import Aggregation
from ml.declaration.use_case import UseCaseSpec
from ml.examples.build import make_examples
from ml.examples.known import known_columns
from ml.features.define import define_features
from ml.features.matrix import feature_matrix
from ml.features.windows import group_name, window_entities
from ml.tables.sources import DataError, load_table

CUTOFF = pd.Timestamp("2024-02-10 08:00")


@pytest.fixture
def spec(tmp_path) -> UseCaseSpec:
    rng = np.random.default_rng(0)
    start = pd.Timestamp("2024-01-01")
    scheduled = start + pd.to_timedelta(np.sort(rng.integers(0, 60 * 24 * 60, 400)), unit="min")
    delay = rng.normal(0, 30, 400).round(1)
    trips = pd.DataFrame(
        {
            "id": range(400),
            "scheduled": scheduled,
            "line": rng.choice(["a", "b", None], 400),
            "bus": rng.choice(["x", "y", "z"], 400),
            "ended": scheduled + pd.to_timedelta(60 + delay, unit="min"),
            "delay": delay,
            "driver": rng.choice(["Ann", "Bo", "Cy"], 400),
        }
    )
    trips.to_csv(tmp_path / "trips.csv", index=False)
    pd.DataFrame({"bus": ["x", "y"], "seats": [20, 30], "maker": ["M", None]}).to_csv(
        tmp_path / "buses.csv", index=False
    )
    hours = pd.date_range(start, periods=60 * 24, freq="h")
    weather = pd.DataFrame({"line": "a", "at": hours, "rain": rng.random(len(hours))})
    weather.drop(index=range(100, 110)).to_csv(tmp_path / "weather.csv", index=False)
    return UseCaseSpec.model_validate(
        {
            "description": "Late?",
            "tables": {
                "trips": {
                    "source": {"path": str(tmp_path / "trips.csv")},
                    "key": "id",
                    "time": "scheduled",
                    "known_at": {"ended": ["delay", "driver"]},
                },
                "buses": {"source": {"path": str(tmp_path / "buses.csv")}, "key": "bus"},
                "weather": {
                    "source": {"path": str(tmp_path / "weather.csv")},
                    "key": ["line", "at"],
                    "time": "at",
                    "valid_for": "2h",
                },
            },
            "relationships": ["trips.bus -> buses.bus", "trips.line -> weather.line"],
            "examples": {
                "table": "trips",
                "cutoff": "scheduled - 2h",
                "target": "delay > 10",
                "split": {"train_until": "2024-02-01", "validate_until": "2024-02-15"},
            },
            "features": {
                "calendar": {"scheduled": ["hour", "weekday"]},
                "history": {
                    "table": "trips",
                    "group_by": [[], "line", ["line", "bus"]],
                    "windows": ["3h", "7d"],
                    "aggregations": list(get_args(Aggregation)),
                },
            },
            "models": {"logistic": {}},
        }
    )


def matrix(spec: UseCaseSpec, tables: dict[str, pa.Table]) -> pd.DataFrame:
    examples = tables["trips"].to_pandas().assign(cutoff=lambda trips: trips["scheduled"] - pd.Timedelta("2h"))
    return feature_matrix(spec, define_features("trips", spec, tables), tables, examples[["id", "cutoff"]])


def load(spec: UseCaseSpec) -> dict[str, pa.Table]:
    return {name: load_table("trips", name, table, spec.times_of(name)) for name, table in spec.tables.items()}


def test_every_value_equals_a_plain_loop(spec: UseCaseSpec) -> None:
    tables = load(spec)
    trips, weather = tables["trips"].to_pandas(), tables["weather"].to_pandas()

    rows = matrix(spec, tables)

    for row in rows.sample(40, random_state=1).to_dict("records"):
        trip = trips.loc[row["id"]]
        week = (trips["ended"] < row["cutoff"]) & (trips["ended"] >= row["cutoff"] - pd.Timedelta("7D"))
        past = trips[(trips["line"] == trip["line"]) & week]
        both, of_all = past[past["bus"] == trip["bus"]], trips[week]
        since = (row["cutoff"] - both["ended"].max()).total_seconds()
        seen = weather[(weather["at"] < row["cutoff"]) & (weather["at"] >= row["cutoff"] - pd.Timedelta("2h"))]
        assert row["HOUR(scheduled)"] == trip["scheduled"].hour
        assert row["line.COUNT(trips_ended, Last 7 Days)"] == len(past)
        assert row["all.COUNT(trips_ended, Last 7 Days)"] == len(of_all)
        assert row["all.MEAN(trips_ended.delay, Last 7 Days)"] == pytest.approx(of_all["delay"].mean(), nan_ok=True)
        assert row["line.MEAN(trips_ended.delay, Last 7 Days)"] == pytest.approx(past["delay"].mean(), nan_ok=True)
        assert row["line_bus.STD(trips_ended.delay, Last 7 Days)"] == pytest.approx(both["delay"].std(), nan_ok=True)
        assert row["line.NUM_UNIQUE(trips_ended.driver, Last 7 Days)"] == pytest.approx(
            past["driver"].nunique() or np.nan, nan_ok=True
        )
        assert row["line_bus.TIME_SINCE_LAST(trips_ended.ended, Last 7 Days)"] == pytest.approx(since, nan_ok=True)
        assert row["buses.seats"] == pytest.approx({"x": 20, "y": 30}.get(trip["bus"], np.nan), nan_ok=True)
        rain = seen["rain"].iloc[-1] if trip["line"] == "a" and len(seen) else np.nan
        assert row["weather.rain"] == pytest.approx(rain, nan_ok=True)


@pytest.mark.slow
@pytest.mark.parametrize("at_cutoff", ["excluded", "included"])
def test_every_window_equals_what_featuretools_computes(at_cutoff: str, spec: UseCaseSpec) -> None:
    import featuretools as ft

    declared = spec.resolved()
    declared["features"]["at_cutoff"] = at_cutoff
    spec = UseCaseSpec.model_validate(declared)
    tables = load(spec)
    all_trips = tables["trips"].to_pandas().assign(cutoff=lambda trips: trips["scheduled"] - pd.Timedelta("2h"))
    all_trips = all_trips.assign(all="all", line_bus=lambda trips: trips["line"] + trips["bus"])
    rows = all_trips.dropna(subset=["line"]).sample(25, random_state=0)
    rows["cutoff"] = [*all_trips["ended"].head(10), *rows["cutoff"].iloc[10:]]  # some events fall on a cutoff
    definitions = define_features("trips", spec, tables)

    computed = feature_matrix(spec, definitions, tables, rows[["id", "cutoff"]])

    for name, lookup in definitions.lookups.items():
        if lookup.kind == "window":
            group = group_name(lookup)
            keyed = all_trips.dropna(subset=[group]).astype({"delay": float})
            cutoffs = keyed.loc[rows.index, [group]].set_axis(["instance_id"], axis=1).assign(time=rows["cutoff"])
            expected = ft.calculate_feature_matrix(
                ft.load_features(definitions.history[name]),
                window_entities(spec, lookup, keyed),
                cutoff_time=cutoffs,
                include_cutoff_time=at_cutoff == "included",
            )
            for column in expected:
                values = pd.to_numeric(expected[column]).to_numpy(dtype=float, na_value=np.nan)
                np.testing.assert_allclose(computed[f"{group}.{column}"], values, rtol=1e-9, err_msg=f"{name} {column}")


def test_outcomes_ids_and_raw_times_are_no_features(spec: UseCaseSpec) -> None:
    definitions = define_features("trips", spec, load(spec))

    row = {
        feature.name for feature in definitions.features if not feature.name.startswith(("all.", "line.", "line_bus."))
    }
    assert row == {
        "HOUR(scheduled)", "WEEKDAY(scheduled)", "line", "bus", "buses.seats", "buses.maker", "weather.rain",
    }  # fmt: skip


def test_changing_everything_after_a_cutoff_changes_no_feature(spec: UseCaseSpec) -> None:
    tables = load(spec)
    before = matrix(spec, tables)
    scrambled: dict[str, Any] = dict(tables)
    trips = tables["trips"].to_pandas()
    later = trips["ended"] > CUTOFF
    trips.loc[later, "delay"] = 999.0
    weather = tables["weather"].to_pandas()
    weather.loc[weather["at"] > CUTOFF, "rain"] = -1.0
    scrambled["trips"] = pa.Table.from_pandas(trips, preserve_index=False)
    scrambled["weather"] = pa.Table.from_pandas(weather, preserve_index=False)

    after = matrix(spec, scrambled)

    asked_before = before["cutoff"] <= CUTOFF
    assert asked_before.sum() > 100
    pd.testing.assert_frame_equal(before[asked_before], after[after["cutoff"] <= CUTOFF])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"where": "delay > 1000"}, ["no row meets"]),
        ({"target": "delay > 1000"}, ["one class only in the train split", "False"]),
        ({"target": "case when id > 5 then delay > 10 end"}, ["null in 6 of 400 rows"]),
        ({"split": {"train_until": "2023-01-01", "validate_until": "2024-02-15"}}, ["the train split is empty"]),
        ({"target": "lateness > 10"}, ["lateness", "correct the expression"]),
        ({"cutoff": "planned - 2h"}, ["examples.cutoff", "planned"]),
    ],
)
def test_bad_examples_are_refused_with_their_place(change: dict[str, Any], words: list[str], spec: UseCaseSpec) -> None:
    declared = spec.resolved()
    declared["examples"] |= change
    if "split" in change:
        declared["examples"]["split"] = change["split"]
    broken = UseCaseSpec.model_validate(declared)

    with pytest.raises(DataError) as refused:
        make_examples("trips", broken, load(spec))

    assert all(word in str(refused.value) for word in ["'trips'", *words]), refused.value


def test_targets_that_look_beyond_their_split_are_left_out(spec: UseCaseSpec) -> None:
    declared = spec.resolved()
    declared["examples"]["split"]["embargo"] = "5d"
    table = load(spec)["trips"]

    examples = make_examples("trips", UseCaseSpec.model_validate(declared), {"trips": table}).to_pandas()

    ends = examples.groupby("split")["cutoff"].max()
    assert pd.Timestamp("2024-01-26") < ends["train"] < pd.Timestamp("2024-01-27")
    assert pd.Timestamp("2024-02-09") < ends["validation"] < pd.Timestamp("2024-02-10")
    all_rows = make_examples("trips", spec, {"trips": table})
    assert len(examples) < all_rows.num_rows
    assert (examples["split"] == "test").sum() == all_rows["split"].to_pylist().count("test")


def test_an_example_without_a_cutoff_is_refused(spec: UseCaseSpec) -> None:
    table = load(spec)["trips"]
    times = table["scheduled"].to_pylist()
    column = table.schema.get_field_index("scheduled")
    table = table.set_column(column, "scheduled", pa.array([None, *times[1:]], table.schema.field(column).type))

    with pytest.raises(DataError, match=r"column 'scheduled': 1 of 400 examples have no cutoff time; .*\.where"):
        make_examples("trips", spec, {"trips": table})


@pytest.mark.parametrize(
    ("computed", "target"),
    [({"late": "delay > 10"}, "late"), ({}, "DELAY > 10"), ({}, '"delay" > 10'), ({"a": "delay", "b": "a"}, "B > 10")],
)
def test_nothing_that_the_target_is_made_of_becomes_a_feature(
    computed: dict[str, str], target: str, spec: UseCaseSpec
) -> None:
    declared = spec.resolved()
    declared["tables"]["trips"] |= {"computed": computed, "known_at": {}}
    declared["examples"]["target"] = target
    declared["features"]["history"] = None
    leaky = UseCaseSpec.model_validate(declared)

    columns = known_columns(leaky, load(leaky)["trips"])

    assert not {"delay", "late", "a", "b"} & set(columns)
    assert "line" in columns


def test_a_column_of_another_table_computed_from_what_is_known_later_is_no_feature(spec: UseCaseSpec) -> None:
    declared = spec.resolved()
    declared["tables"]["weather"] |= {
        "known_at": {"at": ["rain"]},
        "computed": {"wet": "rain > 0.5"},
    }

    names = [feature.name for feature in define_features("trips", *both(UseCaseSpec.model_validate(declared))).features]

    assert not {"weather.wet", "weather.rain"} & set(names)
    assert "buses.seats" in names


def both(spec: UseCaseSpec) -> tuple[UseCaseSpec, dict[str, pa.Table]]:
    return spec, load(spec)


def test_two_histories_of_one_group_together_make_what_one_would(spec: UseCaseSpec) -> None:
    declared = spec.resolved()
    history = declared["features"]["history"]
    numbers = [name for name in history["aggregations"] if name != "num_unique"]
    declared["features"]["history"] = [
        history | {"windows": ["3h"], "aggregations": ["count", "num_unique"]},
        history | {"windows": ["7d"]},
        history | {"windows": ["3h", "7d"], "aggregations": numbers},
    ]
    apart = UseCaseSpec.model_validate(declared)

    pd.testing.assert_frame_equal(matrix(apart, load(apart)), matrix(spec, load(spec)))


def test_a_group_that_an_example_does_not_know_is_refused(spec: UseCaseSpec) -> None:
    declared = spec.resolved()
    declared["tables"]["trips"]["computed"] = {"city": "'Bern'"}
    declared["features"]["history"]["group_by"] = ["city"]

    with pytest.raises(DataError, match=r"names 'city', which .* Take some of \['bus', "):
        define_features("trips", *both(UseCaseSpec.model_validate(declared)))


def test_a_history_feature_can_be_left_out(spec: UseCaseSpec) -> None:
    names = [feature.name for feature in define_features("trips", *both(spec)).features]
    chosen = next(name for name in names if name.startswith("line."))
    declared = spec.resolved()
    declared["features"]["ignore"] = [chosen]
    fewer = UseCaseSpec.model_validate(declared)

    definitions = define_features("trips", *both(fewer))
    values = matrix(fewer, load(fewer))

    assert [feature.name for feature in definitions.features] == [name for name in names if name != chosen]
    assert chosen not in values.columns


def test_the_order_of_keys_in_a_declaration_decides_nothing(spec: UseCaseSpec) -> None:
    def turned(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: turned(part) for name, part in reversed(value.items())}
        return [turned(part) for part in value] if isinstance(value, list) else value

    declared = spec.resolved()
    declared["tables"]["trips"]["known_at"] = {"started": ["driver"], "ended": ["delay"]}
    tables = load(spec)
    trips = tables["trips"].append_column("started", tables["trips"]["scheduled"])
    both_orders = [UseCaseSpec.model_validate(part) for part in (declared, turned(declared))]

    first, second = (define_features("trips", part, {**tables, "trips": trips}) for part in both_orders)

    assert first.features == second.features
    assert first.history == second.history


def test_an_aggregation_that_fits_no_column_is_refused(spec: UseCaseSpec) -> None:
    declared = spec.resolved()
    declared["tables"]["trips"] |= {"known_at": {"ended": ["driver"]}, "ignore": ["delay"]}
    declared["features"]["history"]["aggregations"] = ["count", "num_unique", "mean", "std"]

    with pytest.raises(DataError, match=r"features.history asks for \['mean', 'std'\] of 'trips', of which no column"):
        define_features("trips", *both(UseCaseSpec.model_validate(declared)))


def test_too_many_features_are_refused_with_what_makes_them(spec: UseCaseSpec) -> None:
    declared = spec.resolved()
    declared["features"]["at_most"] = 20
    greedy = UseCaseSpec.model_validate(declared)

    with pytest.raises(DataError, match=r"\d+ features, allowed by features.at_most: 20; most come of \d+ from trips_"):
        define_features("trips", *both(greedy))


def test_a_relationship_between_a_text_and_a_number_is_refused(spec: UseCaseSpec) -> None:
    declared = spec.resolved()
    declared["relationships"] = ["trips.id -> buses.bus"]

    with pytest.raises(DataError, match=r"trips\.id -> buses\.bus joins int64 to .*string, which are never equal"):
        define_features("trips", *both(UseCaseSpec.model_validate(declared)))


def test_a_time_that_only_the_examples_use_is_parsed(spec: UseCaseSpec) -> None:
    declared = spec.resolved()
    declared["tables"]["trips"]["time"] = None
    untimed = UseCaseSpec.model_validate(declared)

    table = load(untimed)["trips"]

    assert untimed.times_of("trips") == {"scheduled"}
    assert pa.types.is_timestamp(table["scheduled"].type)


def test_a_history_is_of_the_columns_that_it_names(spec: UseCaseSpec) -> None:
    declared = spec.resolved()
    declared["features"]["history"] = [
        {"table": "trips", "windows": ["7d"], "aggregations": ["count", "num_unique"], "columns": ["driver"]},
        {"table": "trips", "windows": ["7d"], "group_by": ["line"], "aggregations": ["mean"], "columns": ["delay"]},
    ]

    features = define_features("trips", *both(UseCaseSpec.model_validate(declared))).features

    assert {feature.name for feature in features if feature.kind == "window"} == {
        "all.COUNT(trips_ended, Last 7 Days)",
        "all.NUM_UNIQUE(trips_ended.driver, Last 7 Days)",
        "line.MEAN(trips_ended.delay, Last 7 Days)",
    }


@pytest.mark.parametrize("column", ["dely", "bus", "id", "ended", "line"])
def test_a_history_of_a_column_that_never_becomes_known_is_refused(column: str, spec: UseCaseSpec) -> None:
    declared = spec.resolved()
    declared["features"]["history"]["columns"] = ["delay", column]

    with pytest.raises(
        DataError, match=rf"history.columns names \['{column}'\], but of 'trips' .*\['delay', 'driver'\]"
    ):
        define_features("trips", *both(UseCaseSpec.model_validate(declared)))


def test_a_column_with_the_name_of_the_group_of_all_rows_is_refused(spec: UseCaseSpec) -> None:
    declared = spec.resolved()
    declared["tables"]["trips"] |= {"computed": {"all": "delay + 1"}, "known_at": {"ended": ["delay", "all"]}}

    with pytest.raises(DataError, match="'trips': a column 'all' has the name of the group of all rows"):
        define_features("trips", *both(UseCaseSpec.model_validate(declared)))
