"""A new use case is written as a whole or not at all, asks for its target, and loads as it stands."""

from pathlib import Path

import pytest

from dagster_project.location.drafting import DraftError, write_draft
from tests.support import twins


@pytest.fixture
def configs(tmp_path: Path) -> Path:
    folder = tmp_path / "configs"
    folder.mkdir()
    return folder


def test_the_target_is_asked_for_where_none_is_named(configs: Path, tmp_path: Path) -> None:
    offered: list[str] = []

    def answer(likely: list[str]) -> str:
        offered.extend(likely)
        return "Churn"

    drafted = write_draft("churn", twins.customers(tmp_path), None, configs, answer)

    assert offered[0] == "Churn"
    assert (configs / "churn" / "defs.yaml").read_text() == drafted.text


@pytest.mark.parametrize(
    ("name", "target", "message"),
    [
        ("Churn", "Churn", "'Churn' is no name of a use case: write small letters"),
        ("2churn", "Churn", "a letter first"),
        ("../churn", "Churn", "is no name"),
        ("churn", None, "what is to be predicted only you can say: name it with --target"),
        ("churn", "Chrun", "did you mean 'Churn'"),
    ],
)
def test_what_cannot_be_drafted_writes_nothing(
    name: str, target: str | None, message: str, configs: Path, tmp_path: Path
) -> None:
    with pytest.raises(DraftError, match=message):
        write_draft(name, twins.customers(tmp_path), target, configs, lambda likely: None)

    assert list(configs.iterdir()) == []


def test_a_use_case_that_is_there_is_never_written_over(configs: Path, tmp_path: Path) -> None:
    (configs / "churn").mkdir()
    (configs / "churn" / "defs.yaml").write_text("mine")

    with pytest.raises(DraftError, match="exists already"):
        write_draft("churn", twins.customers(tmp_path), "Churn", configs, lambda likely: None)

    assert (configs / "churn" / "defs.yaml").read_text() == "mine"
