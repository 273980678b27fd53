"""Selection of features: decided by training rows alone, each that is dropped with its reason."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from ml.base.sql import DataError
from ml.declaration.catalogue import CATALOGUE
from ml.declaration.features import Selection, Terms
from ml.exported.onnx import export, measure_parity
from ml.features.definitions import Feature, FeatureDefinitions, Lookup
from ml.models.catalogue import family
from ml.models.family import Training
from ml.search.feature_selection import select
from ml.tasks.encoding import MAX_LEVELS, Encoder
from ml.tasks.task import Kind, Task

ROWS = 1000
TRAIN = 800


def defined(frame: pd.DataFrame) -> FeatureDefinitions:
    """Every column but split and target as a feature: texts as categories."""
    features = [
        Feature(name=name, kind="column", column=name, type="categorical" if frame[name].dtype == object else "numeric")
        for name in frame.columns.drop(["split", "target"])
    ]
    return FeatureDefinitions(row="[]", history={}, features=features, lookups={}, record={})


@pytest.fixture
def matrix() -> pd.DataFrame:
    """Strong and weak say something of the target, twin repeats strong, noise says nothing."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, ROWS)
    strong = 2 * y + rng.normal(size=ROWS)
    return pd.DataFrame(
        {
            "noise": rng.normal(size=ROWS),
            "strong": strong,
            "weak": y + 2 * rng.normal(size=ROWS),
            "twin": -np.exp(strong) + rng.normal(0, 0.01, ROWS),
            "color": rng.choice(["red", "blue"], ROWS).astype(object),
            "split": ["train"] * TRAIN + ["validation"] * (ROWS - TRAIN),
            "target": y,
        }
    )


def test_a_text_is_kept_or_dropped_as_a_whole_and_worth_what_its_words_are(matrix: pd.DataFrame) -> None:
    words = np.where(matrix["target"] == 1, "good", "bad")
    matrix = matrix[["noise", "split", "target"]].assign(
        note=[f"a {word} row{place}" for place, word in enumerate(words)],
        names=[f"name{place}" for place in range(ROWS)],
        same="the same words",
        wordless=[["…", "", None, " - "][place % 4] for place in range(ROWS)],
    )
    features = [
        Feature(name=name, kind="column", column=name, type="text", terms=Terms(characters=None))
        for name in ("note", "names", "same", "wordless")
    ]
    features.append(Feature(name="noise", kind="column", column="noise", type="numeric"))
    definitions = FeatureDefinitions(row="[]", history={}, features=features, lookups={}, record={})

    selected = select("case", matrix, definitions, Selection(keep=1, correlation=0.9), 0)

    assert selected.kept == ["note"]
    assert selected.worth["note"] > 0.9
    assert selected.dropped["same"] == "each of 800 training rows has the value the same words"
    assert selected.dropped["wordless"] == "none of 800 training rows has a value"
    assert selected.dropped["names"].startswith("no word that a model would know tells some of 800 training rows")
    assert "by worth" in selected.dropped["noise"]


def test_by_default_only_what_says_nothing_is_dropped(matrix: pd.DataFrame) -> None:
    matrix = matrix.assign(year=2013.0, shop=None, beyond=np.inf, kind="a", empty="", flag=None)
    matrix.loc[5, "flag"] = 1.0  # beside missing ones, a single value says something

    selected = select("case", matrix, defined(matrix), Selection(), 0)

    assert selected.kept == ["noise", "strong", "weak", "twin", "color", "flag"]
    assert selected.dropped == {
        "year": "each of 800 training rows has the value 2013.0",
        "kind": "each of 800 training rows has the value a",
        "shop": "none of 800 training rows has a value",
        "beyond": "none of 800 training rows has a value",
        "empty": "none of 800 training rows has a value",
    }
    assert selected.rows == TRAIN
    assert selected.worth == {}


@pytest.mark.parametrize(
    "options",
    [{}, {"missing": 0.4}, {"correlation": 0.9}, {"keep": 2}, {"missing": 0.1, "correlation": 0.9, "keep": 1}],
)
def test_validation_rows_decide_nothing(options: dict[str, float], matrix: pd.DataFrame) -> None:
    wild, later = matrix.copy(), matrix["split"] == "validation"
    numbers = ["noise", "strong", "weak", "twin"]
    wild.loc[later, numbers] = np.random.default_rng(1).normal(size=(ROWS - TRAIN, 4)) * 1e30
    wild.loc[later, "color"] = "never seen"
    wild.loc[later, "target"] = 1 - wild.loc[later, "target"]
    wild.loc[later & (wild["noise"] > 0), ["strong", "weak"]] = None

    selections = [select("case", frame, defined(frame), Selection(**options), 0) for frame in (matrix, wild)]

    assert selections[0] == selections[1]


@pytest.mark.parametrize(("missing", "dropped"), [(0.8, False), (0.5, False), (0.499, True), (0, True)])
def test_a_feature_is_dropped_if_more_than_the_allowed_share_is_missing(
    missing: float, dropped: bool, matrix: pd.DataFrame
) -> None:
    for name, nothing in {"weak": np.nan, "color": None}.items():
        matrix.loc[: TRAIN // 2 - 1, name] = nothing

    selected = select("case", matrix, defined(matrix), Selection(missing=missing), 0)

    reason = f"400 of 800 training rows (50%) have no value, allowed: {100 * missing:.4g}%"
    assert selected.dropped == (dict.fromkeys(["weak", "color"], reason) if dropped else {})


def test_a_text_with_more_levels_than_models_tell_apart_is_not_missing(matrix: pd.DataFrame) -> None:
    matrix["name"] = [f"customer {row}" for row in range(ROWS)]
    assert TRAIN > 2 * MAX_LEVELS

    selected = select("case", matrix, defined(matrix), Selection(missing=0.1), 0)

    assert "name" in selected.kept


def test_of_two_that_rank_rows_alike_the_one_worth_less_is_dropped(matrix: pd.DataFrame) -> None:
    matrix["copy"] = matrix["noise"]

    selected = select("case", matrix, defined(matrix), Selection(correlation=0.9), 0)

    assert set(selected.dropped) == {"copy", "twin"}
    assert selected.dropped["twin"].endswith("with strong, which is worth no less; allowed: 0.9")
    assert [*selected.worth] == selected.kept
    assert max(selected.worth, key=lambda name: selected.worth[name]) == "strong"


def test_no_two_kept_numbers_correlate_more_than_allowed(matrix: pd.DataFrame) -> None:
    rng = np.random.default_rng(2)
    for step in range(6):  # a chain: neighbours are alike, its ends are not
        matrix[f"near {step}"] = matrix["weak"] + step * rng.normal(size=ROWS)

    selected = select("case", matrix, defined(matrix), Selection(correlation=0.6), 0)

    train = matrix[matrix["split"] == "train"]
    between = train[[name for name in selected.kept if name != "color"]].corr("spearman").abs().to_numpy()
    np.fill_diagonal(between, 0)
    assert between.max() <= 0.6
    for name, reason in selected.dropped.items():
        like = reason.partition(" with ")[2].partition(", which")[0]
        assert like in selected.kept
        assert train[[name, like]].corr("spearman").abs().iloc[0, 1] > 0.6


def test_two_that_are_missing_in_other_rows_do_not_repeat_each_other(matrix: pd.DataFrame) -> None:
    half = matrix.index % 2 == 0
    matrix["even"], matrix["odd"] = matrix["weak"].where(half), matrix["weak"].where(~half)

    selected = select("case", matrix[["even", "odd", "split", "target"]], defined(matrix).only(["even", "odd"]),
                   Selection(correlation=0.5), 0)  # fmt: skip

    assert selected.dropped == {}


def test_of_equally_worthless_ones_the_later_by_name_goes() -> None:
    frame = pd.DataFrame({"b": [1.0, 2, 3, 4], "a": [2.0, 4, 6, 8], "split": "train", "target": [0, 1, 0, 1]})

    correlated = select("case", frame, defined(frame), Selection(correlation=0.5), 0)
    counted = select("case", frame, defined(frame), Selection(keep=1), 0)

    assert correlated.kept == counted.kept == ["a"]
    assert correlated.dropped == {"b": "correlates by 1.0000 with a, which is worth no less; allowed: 0.5"}
    assert counted.dropped == {"b": "number 2 of 2 by worth (0% of the gain), kept: 1"}


def test_those_worth_most_are_kept_in_the_order_of_their_definitions(matrix: pd.DataFrame) -> None:
    matrix = matrix.drop(columns="twin")

    selected = select("case", matrix, defined(matrix), Selection(keep=2), 0)

    assert selected.kept == ["strong", "weak"]
    assert sum(selected.worth.values()) < 1
    assert selected.dropped["color"].startswith("number 4 of 4 by worth (")
    assert selected.dropped["color"].endswith("% of the gain), kept: 2")


def test_a_twin_does_not_lessen_what_the_other_is_counted_for(matrix: pd.DataFrame) -> None:
    alone = select("case", matrix, defined(matrix.drop(columns="twin")), Selection(keep=2), 0)

    both = select("case", matrix, defined(matrix), Selection(correlation=0.9, keep=2), 0)

    assert both.kept == alone.kept
    assert both.worth == alone.worth


@pytest.mark.parametrize("options", [{}, {"correlation": 0.5}, {"keep": 1}])
def test_where_nothing_is_left_the_error_says_why(options: dict[str, float], matrix: pd.DataFrame) -> None:
    frame = matrix[["split", "target"]].assign(year=2013.0)

    with pytest.raises(DataError, match=r"'case': features.selection leaves none of 1 features. year: each of 800 .*"):
        select("case", frame, defined(frame), Selection(**options), 0)


def test_the_same_seed_selects_the_same_and_a_category_may_be_worth_most(matrix: pd.DataFrame) -> None:
    matrix["color"] = np.where(matrix["target"] == 1, "red", "blue")

    first, second = (select("case", matrix, defined(matrix), Selection(correlation=0.9, keep=1), 3) for _ in range(2))

    assert first == second
    assert first.kept == ["color"]


def test_the_definitions_of_some_features_have_only_the_lookups_that_these_need() -> None:
    lookups = {name: Lookup(kind="static", table=name, on=[name], keys=["id"]) for name in ("shop", "city")}
    features = [
        Feature(name=name, kind="lookup", lookup=name, column="size", type="numeric") for name in ("shop", "city")
    ]
    whole = FeatureDefinitions(row="[]", history={}, features=features, lookups=lookups, record={"shop": "text"})

    some = whole.only(["city"])

    assert (some.numeric, [*some.lookups]) == (["city"], ["city"])
    assert some.record == whole.record  # what the service accepts does not change with what a run selects


def constant(rows: int) -> pd.Series:
    return pd.Series(np.full(rows, 7.0))


@pytest.mark.parametrize("kind", ["multiclass", "regression"])
def test_a_feature_is_worth_what_it_says_of_the_task(kind: Kind, matrix: pd.DataFrame) -> None:
    numbers = matrix["strong"] + np.random.default_rng(1).normal(0, 0.1, ROWS)
    target = numbers if kind == "regression" else pd.cut(numbers, 3, labels=["low", "mid", "top"]).astype(str)
    matrix = matrix.assign(target=target).drop(columns="twin")

    selected = select("case", matrix, defined(matrix), Selection(keep=1), 0, kind)

    assert selected.kept == ["strong"]
    assert all("of the gain" in reason for reason in selected.dropped.values())


def test_a_class_of_one_row_does_not_hinder(matrix: pd.DataFrame) -> None:
    matrix = matrix.assign(target=np.where(matrix["strong"] > 1, "high", "low"))
    matrix.loc[3, "target"] = "odd"

    selected = select("case", matrix, defined(matrix), Selection(keep=2), 0, "multiclass")

    assert len(selected.kept) == 2


def missing(rows: int) -> pd.Series:
    return pd.Series(np.full(rows, np.nan))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(CATALOGUE) - {"cnn"}))
@pytest.mark.parametrize("nothing", [constant, missing])
@pytest.mark.parametrize("alone", [False, True])
def test_a_family_copes_with_a_feature_that_says_nothing(
    name: str, nothing: Callable[[int], pd.Series], alone: bool, matrix: pd.DataFrame
) -> None:
    """As it may come to be in the rows that a search tunes on."""
    if name == "catboost" and alone and nothing is constant:
        pytest.skip("CatBoost refuses columns that are all constant")
    for package in CATALOGUE[name].requires:
        pytest.importorskip(package, reason="pip install '.[boosters]'")
    frame = matrix.assign(nothing=nothing(ROWS), color=None if nothing is missing else "red")
    train, valid = (frame[frame["split"] == split] for split in ("train", "validation"))
    encoder = Encoder.fit(train, ["nothing"] if alone else ["nothing", "strong"], ["color"])
    task = Task.of(family(name).tasks[0], train["target"])
    y, y_valid = (task.labels(rows["target"]) for rows in (train, valid))
    data = Training(encoder.encode(train), y, encoder.encode(valid), y_valid, encoder, task)

    model = family(name).fit(data, family(name).defaults(), seed=0)

    assert np.isfinite(model.predict(data.X_valid)).all()
    measure_parity(model, encoder, export(model, encoder, {}, task), valid).raise_for_drift()


def test_a_feature_is_worth_the_mean_of_what_it_is_to_each_target(matrix: pd.DataFrame) -> None:
    other = (matrix["noise"] > 0).astype("int8")
    several = matrix.drop(columns="target").assign(**{"target a": matrix["target"], "target b": other})
    features, options = defined(matrix), Selection(keep=2)
    alone = [
        select("case", matrix.assign(target=y), features, Selection(correlation=0.999), 0).worth
        for y in (matrix["target"], other)
    ]

    chosen = select("case", several, features, options, 0, targets=["target a", "target b"])

    assert chosen.kept == ["noise", "strong"]
    assert chosen.worth["noise"] == pytest.approx(np.mean([worth["noise"] for worth in alone]))
