import re
from pathlib import Path

import dagster as dg

from dagster_project.runs.progress import Progress


@dg.asset
def made() -> dg.MaterializeResult[None]:
    return dg.MaterializeResult(value=None)


@dg.asset(deps=[made])
def taken() -> dg.MaterializeResult[None]:
    return dg.MaterializeResult(value=None, metadata={"reused": True})


@dg.asset(deps=[taken], key_prefix="shop")
def broken() -> None:
    raise ValueError("there is no shop")


def test_each_step_that_ended_has_a_line_and_a_failed_one_its_own_error(home: Path) -> None:
    done = dg.materialize([made, taken, broken], raise_on_error=False)
    progress = Progress()

    lines = list(progress.lines(iter(done.all_events)))

    assert [line.split()[:2] for line in lines] == [["done", "made"], ["reused", "taken"], ["FAILED", "shop/broken"]]
    assert all(re.search(r"\d\.\d s$", line) for line in lines[:2])
    assert lines[2] == "FAILED shop/broken\n    ValueError: there is no shop"
    assert progress.running == {}


def test_a_step_that_has_not_ended_is_running(home: Path) -> None:
    done = dg.materialize([made])
    progress = Progress()

    lines = list(progress.lines(event for event in done.all_events if not event.is_step_success))

    assert lines == []
    assert list(progress.running) == ["made"]
