"""The kinds under which results are stored: what is stored once must load ever after."""

from resources.formats import TABLES
from resources.formerly import FORMERLY
from resources.kinds import KINDS
from tests.support.snapshot import check_snapshot


def test_kinds_of_stored_results() -> None:
    kinds = {"without a class": [*TABLES, "bytes", "pickle"], "of a class": sorted(KINDS), "formerly": dict(FORMERLY)}

    check_snapshot("kinds", kinds)
