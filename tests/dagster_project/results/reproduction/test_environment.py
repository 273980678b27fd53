import subprocess
from pathlib import Path

import pytest

from dagster_project.results.reproduction.environment import differences, rebuild
from dagster_project.results.reproduction.plan import ReproduceError
from ml.provenance.coordinates import environment_coordinate

pytestmark = pytest.mark.slow


def test_this_environment_differs_in_nothing_from_itself() -> None:
    assert differences(environment_coordinate()) == []


def test_another_machine_and_other_packages_are_named_with_both_values() -> None:
    here = environment_coordinate()
    distributions = {**here["distributions"], "dagster": "0.1", "left-pad": "1.0"}
    del distributions["click"]

    sentences = differences({**here, "processor": "abacus", "distributions": distributions})

    assert sentences == [
        f"processor was abacus, is {here['processor']}",
        f"click was absent, is {here['distributions']['click']}",
        f"dagster was 0.1, is {here['distributions']['dagster']}",
        "left-pad was 1.0, is absent",
    ]


@pytest.mark.slow
def test_the_recorded_environment_is_made_of_the_recorded_versions(tmp_path: Path) -> None:
    recorded = environment_coordinate() | {"distributions": {"click": "8.1.7", "sextant": "0", "six": "1.16.0+local"}}

    python = rebuild(recorded, tmp_path)

    code = "import click, six, sys; print(click.__version__, six.__version__, *sys.version_info[:2])"
    assert subprocess.check_output([python, "-W", "ignore", "-c", code], text=True).split()[:2] == ["8.1.7", "1.16.0"]


def test_an_environment_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    none = environment_coordinate() | {"distributions": {"sextant-has-no-such-package": "1.0"}}

    with pytest.raises(ReproduceError, match=r"needs Python 3\.1, and there is no python3\.1 on the path"):
        rebuild(environment_coordinate() | {"python": "3.1.7"}, tmp_path)
    with pytest.raises(ReproduceError, match=r"cannot be installed: .*sextant-has-no-such-package"):
        rebuild(none, tmp_path)
