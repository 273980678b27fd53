"""Parts that two things read, together."""

import pytest

from ml.declaration.reads import Reads

DECLARED = {"metric": "roc_auc", "tables": {"rows": {"key": "id", "source": "a"}}, "features": {"at_most": 9, "x": 1}}


@pytest.mark.parametrize(
    "other", [Reads(("metric",), beside=("features",)), Reads(("tables",), beside=("features.x",))]
)
def test_what_one_decides_by_decides_though_the_other_reads_it_beside(other: Reads) -> None:
    features = Reads(("features",))

    for together in (features.and_also(other), other.and_also(features)):
        assert together.decide(DECLARED) == {**other.decide(DECLARED), "features": DECLARED["features"]}


def test_what_only_one_leaves_out_is_read() -> None:
    without = Reads(("tables",), without=("tables.*.source",))

    assert without.and_also(Reads(("metric",))).decide(DECLARED)["tables"] == {"rows": {"key": "id"}}
    assert without.and_also(Reads(("tables",))).decide(DECLARED)["tables"] == DECLARED["tables"]


@pytest.mark.parametrize("other", [Reads(("metric",), beside=("features",)), Reads((), without=("features",))])
def test_a_part_of_which_some_decides_is_not_read_beside_as_a_whole(other: Reads) -> None:
    with pytest.raises(ValueError, match=r"features does not decide here, and \['features.at_most'\] do there"):
        other.and_also(Reads(("features.at_most",)))
