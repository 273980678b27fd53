"""YAML with reasons reads well, and says the same when it is read again."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ml.draft.notes import Guess, Question, plain, questions, yaml_lines


def test_an_expression_with_both_quotes_is_written_as_it_is() -> None:
    assert list(yaml_lines({"target": Guess("\"left\" = 'Y'", "true for Y")})) == [
        "# true for Y",
        "target: >-",
        "  \"left\" = 'Y'",
    ]


@pytest.mark.parametrize("name", ["null", "1", "a: b", "#c", "~", "yes", 'a "b"'])
def test_a_name_of_any_kind_is_a_key(name: str) -> None:
    assert yaml.safe_load("\n".join(yaml_lines({"dates": {name: Guess("%d", "so")}}))) == {"dates": {name: "%d"}}


NAMES = st.text("ab'\" :#", min_size=1, max_size=6)
TEXTS = st.text("ab '\"\n:#-é{%", max_size=12)


@given(st.dictionaries(NAMES, TEXTS, max_size=4))
def test_what_is_written_is_read_again(values: dict[str, str]) -> None:
    entries = {"outer": {name: Guess(value, "so") for name, value in values.items()}}

    assert yaml.safe_load("\n".join(yaml_lines(entries))) == ({"outer": values} if values else {"outer": {}})
    assert plain(entries) == {"outer": values}


def test_a_question_is_a_comment_and_no_value() -> None:
    entries = {"a": 1, "question": Question("is it so?", ("a: 2",))}

    assert list(yaml_lines(entries)) == ["a: 1", "# question: is it so?", "# a: 2"]
    assert list(questions(entries)) == ["is it so?"]
    assert plain(entries) == {"a": 1}
