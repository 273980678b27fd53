"""Templates: only {{ env.NAME }} is one, and every other text of a declaration arrives as it was written."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster_shared.yaml_utils import parse_yaml_with_source_position
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from dagster_project.components import UseCase
from dagster_project.location.loading import BrokenUseCaseError, load_declaration, load_use_case
from dagster_project.location.templates import resolved

HUGE = 2**60 + 1  # a double holds no odd number of this size
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
LOOKALIKES = [
    "2024", "1e5", "'web'", '"web"', "True", "None", "null", "1", "00501", "[1, 2]", "{'a': 1}", "{# gone #}",
    "{{ x }}", "{{ 1 + 1 }}", "{% if x %}", "# no comment", " ", "a: b", "{{", "}}", "nan", "1_000", "2013-09-01",
    "x {{en}", "()", "...", "b'x'", "\n", "yes",
]  # fmt: skip
TEXTS = NAMES.filter(lambda text: "env" not in text) | st.sampled_from(LOOKALIKES)


def declaration(text: str = "x") -> dict[str, Any]:
    """Return a declaration with a text in every place where any text may stand."""
    literal = "'" + text.replace("'", "''") + "'"
    table = {
        "source": {"path": text},
        "key": text,
        "time": text,
        "computed": {"c": f"x = {literal}"},
        "known_at": {"later": [text, "b"]},
        "logical_types": {text: "category"},
        "interesting_values": {text: [text, True, 10001, HUGE, 1.5, "10001", "true"]},
        "ignore": [text],
        "audit": {"columns": {text: {"one_of": [text, "1", 1, HUGE, False, "false"]}}},
    }
    rows = {"source": {"query": text, "url": text}, "key": text}
    return {
        "description": text,
        "owners": [text],
        "tables": {"t": table, "rows": rows},
        "examples": {
            "table": "rows",
            "where": f"x = {literal}",
            "cutoff": "at",
            "target": f"y = {literal}",
            "split": {"validation_share": 0.2, "test_share": 0.2, "group": text},
        },
        "features": {
            "calendar": {text: ["hour"]},
            "only": [text],
            "ignore": [text],
            "history": {"table": "t", "group_by": [text, [text, "b"]], "windows": ["1d"]},
        },
        "models": {"logistic": {}},
        "evaluation": {"slices": [text]},
        "score": {"where": f"x = {literal}"},
        "retrain": {"timezone": text},
    }


def read(declared: dict[str, Any], door: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """Return the parts that are declared of what a use case says after it was read."""
    use_case = UseCase.load(UseCase.model_validate(door(declared)), None)  # type: ignore[arg-type]
    return use_case.model_dump(exclude_unset=True)


def by_yaml(declared: dict[str, Any]) -> Any:
    return parse_yaml_with_source_position(yaml.safe_dump(declared)).value


def differences(one: Any, other: Any) -> list[tuple[Any, Any]]:
    """Return the values that differ, a number and a text or a truth value being never the same."""
    if isinstance(one, dict) and isinstance(other, dict):
        names = one.keys() | other.keys()
        return [pair for name in names for pair in differences(one.get(name), other.get(name))]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [pair for pair in zip(one, other, strict=True) for pair in differences(*pair)]
    same_kind = isinstance(one, bool | str) == isinstance(other, bool | str)
    return [] if same_kind and one == other else [(one, other)]


@settings(deadline=None, max_examples=60)
@given(TEXTS)
def test_any_text_in_any_field_comes_back_as_it_was_written(text: str) -> None:
    declared = declaration(text)

    assert differences(declared, read(declared, lambda values: values)) == []
    assert differences(declared, read(declared, by_yaml)) == []


@settings(deadline=None, max_examples=60)
@given(TEXTS)
def test_a_declaration_that_was_read_says_the_same_when_it_is_recorded_and_read_again(text: str) -> None:
    once = UseCase.model_validate(declaration(text))

    again = UseCase.model_validate(by_yaml({**once.resolved(), "seed": 0}))

    assert again.resolved() == once.resolved()


@settings(deadline=None, max_examples=60)
@given(NAMES.filter(lambda value: "env" not in value), TEXTS, TEXTS)
def test_a_variable_is_replaced_by_its_text_wherever_it_stands(value: str, before: str, after: str) -> None:
    declared = {"texts": [f"{before}{{{{ env.A }}}}{after}{{{{env.B}}}}"], "number": 3, "nothing": None}

    assert resolved(declared, {"A": value, "B": "b"}) == {**declared, "texts": [f"{before}{value}{after}b"]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{{ env.NOT_SET }}", "the environment variable NOT_SET is not set"),
        ("{{ env.SET }} {{ env.NOT_SET }}", "the environment variable NOT_SET is not set"),
        ("{{ env('SET') }}", "the only template is {{ env.NAME }}"),
        ("{{ env.SET | default('x') }}", "the only template is {{ env.NAME }}"),
        ("{{- env.SET -}}", "the only template is {{ env.NAME }}"),
        ("{{ env.SET", "the only template is {{ env.NAME }}"),
        ("{{ env.NESTED }}", "the value of NESTED has a {{ env… }} of its own"),
        ("{{ env.HALF }}{ env.SET }}", "has a {{ env… }} of its own"),
    ],
)
def test_what_looks_like_a_variable_and_is_none_is_refused_at_its_place(text: str, words: str) -> None:
    environment = {"SET": "x", "NESTED": "{{ env.SET }}", "HALF": "{"}

    with pytest.raises(ValidationError) as error:
        resolved({"tables": {"t": {"ignore": ["a", text]}}}, environment)

    (mistake,) = error.value.errors()
    assert mistake["loc"] == ("tables", "t", "ignore", 1)
    assert words in mistake["msg"]


def test_a_key_takes_no_variable() -> None:
    with pytest.raises(ValidationError, match="a key has no"):
        resolved({"computed": {"{{ env.SET }}": "1"}}, {"SET": "x"})


def test_a_variable_may_stand_for_anything_that_is_written_as_a_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASK", "regression")
    monkeypatch.setenv("WINDOW", "3h")
    declared = declaration() | {"task": "{{ env.TASK }}", "models": {"ridge": {}}}
    declared["features"]["history"]["windows"] = ["{{ env.WINDOW }}"]

    use_case = UseCase.model_validate(declared)

    assert (use_case.task, use_case.features.histories[0].windows) == ("regression", ["3h"])


def test_the_schema_takes_a_variable_wherever_a_declaration_does_and_nothing_else_more() -> None:
    schema = Draft202012Validator(UseCase.model_json_schema())
    declared = declaration("2024")
    variable = "{{ env.X }}"

    def mistakes(**changes: Any) -> list[str]:
        return sorted(error.message for error in schema.iter_errors(declared | changes))

    assert mistakes() == []
    split = {"validation_share": variable, "test_share": 0.2}
    audit = {"columns": {"a": {"missing_at_most": variable, "unique": "{{env.X}}", "type": variable}}}
    table = {**declared["tables"]["t"], "audit": audit}
    examples = {**declared["examples"], "split": split}
    assert mistakes(seed=variable, task=variable, tables={"t": table}, examples=examples) == []
    assert mistakes(seed="many") == ["'many' is not of type 'integer'"]
    assert mistakes(seed="{{ env('X') }}") == ["\"{{ env('X') }}\" is not of type 'integer'"]
    assert mistakes(task="guess") == ["'guess' is not one of ['binary', 'multiclass', 'regression']"]


def test_an_error_shows_the_template_and_not_what_may_be_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "s3cr3t")
    declared = declaration()
    declared["tables"]["t"]["source"] = {"path": "x", "url": "{{ env.SECRET }}"}
    declared["tables"]["rows"]["source"] = {"python": "{{ env.SECRET }}"}

    with pytest.raises(ValidationError) as error:
        UseCase.model_validate(declared)

    assert "s3cr3t" not in str(error.value)
    assert "{{ env.SECRET }}" in str(error.value)


def test_a_use_case_that_dagster_loads_says_what_its_file_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "declared" / "churn"
    folder.mkdir(parents=True)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("WAREHOUSE", "sqlite:///it's {{ here }}.db")
    declared = declaration("2024")
    declared["owners"], declared["retrain"] = ["team:a"], {}
    declared["tables"]["rows"]["source"]["url"] = "{{ env.WAREHOUSE }}"
    file = {"type": "dagster_project.components.UseCase", "attributes": declared}
    (folder / "defs.yaml").write_text(yaml.safe_dump(file))
    read_as = list[UseCase]()
    build = UseCase.build_defs
    monkeypatch.setattr(UseCase, "build_defs", lambda self, context: read_as.append(self) or build(self, context))

    load_use_case(folder)

    said = read_as[0].model_dump(exclude_unset=True)
    declared["tables"]["rows"]["source"]["url"] = os.environ["WAREHOUSE"]
    assert differences(declared, said) == []

    monkeypatch.delenv("WAREHOUSE")
    with pytest.raises(BrokenUseCaseError, match=r"defs.yaml:\d+.*the environment variable WAREHOUSE is not set"):
        load_use_case(folder)


@pytest.mark.parametrize("target", [["churn", "upgrade"], {"churn": "plan = 'none'", "late": "days > {{ env.MOST }}"}])
def test_several_targets_are_read_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: Any) -> None:
    folder = tmp_path / f"several_{len(str(target))}" / "churn"
    folder.mkdir(parents=True)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("MOST", "30")
    declared = declaration("2024")
    declared["owners"], declared["retrain"] = ["team:a"], {}
    declared["examples"] = {**declared["examples"], "target": target}
    declared["examples"].pop("query", None)
    file = {"type": "dagster_project.components.UseCase", "attributes": declared}
    (folder / "defs.yaml").write_text(yaml.safe_dump(file))

    examples = load_declaration(folder).examples

    assert list(examples.targets) == list(target)
    assert examples.targets.get("late", "days > 30") == "days > 30"
