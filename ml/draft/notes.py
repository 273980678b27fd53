"""YAML with reasons: values, why each was guessed and what else it could be, and questions beside them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

WIDTH = 116


@dataclass(frozen=True)
class Guess:
    """A value that was guessed, why, and what else it could be."""

    value: Any
    why: str


@dataclass(frozen=True)
class Question:
    """A question that only a person can answer, and the lines to write where the draft is not the answer."""

    text: str
    lines: tuple[str, ...] = ()


def yaml_lines(entries: Mapping[str, Any], indent: int = 0) -> Iterator[str]:
    """Yield the lines of a mapping, a comment above each guess and question; the keys of questions are not written."""
    margin = " " * indent
    for key, value in entries.items():
        if isinstance(value, Question):
            yield from _comment(f"question: {value.text}", margin)
            yield from (f"{margin}# {line}" for line in value.lines)
            continue
        if isinstance(value, Guess):
            yield from _comment(value.why, margin)
            value = value.value
        name = _flow(key)
        if isinstance(value, Mapping) and any(_is_long(inner) for inner in value.values()):
            yield f"{margin}{name}:"
            yield from yaml_lines(value, indent + 2)
        elif isinstance(value, Sequence) and any(isinstance(item, Guess) for item in value):
            yield f"{margin}{name}:"
            yield from _items(value, f"{margin}  ")
        elif isinstance(value, str) and _is_doubled(value):
            yield from (f"{margin}{name}: >-", f"{margin}  {value}")
        else:
            yield f"{margin}{name}: {_flow(value)}"


def block_lines(values: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the lines of plain values, each on one of its own."""
    return tuple(yaml.safe_dump(values, allow_unicode=True, width=10**9, sort_keys=False).splitlines())


def questions(entries: Mapping[str, Any]) -> Iterator[str]:
    """Yield the texts of all questions."""
    for value in entries.values():
        inner = value.value if isinstance(value, Guess) else value
        if isinstance(inner, Question):
            yield inner.text
        elif isinstance(inner, Mapping):
            yield from questions(inner)


def plain(value: Any) -> Any:
    """Return the values alone, as they are read again."""
    if isinstance(value, Guess):
        return plain(value.value)
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items() if not isinstance(inner, Question)}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def _is_doubled(text: str) -> bool:
    """Return whether a text has both kinds of quotes, of which one would be doubled on a line of its key."""
    return "'" in text and '"' in text and text == text.strip() and text.isprintable()


def _is_long(value: Any) -> bool:
    """Return whether a value needs lines of its own, and so does the mapping that it is in."""
    return isinstance(value, Guess | Question | Mapping)


def _items(items: Sequence[Any], margin: str) -> Iterator[str]:
    """Yield a line for each item; a reason that is that of the item before is not repeated."""
    before = None
    for item in items:
        if isinstance(item, Guess):
            yield from _comment(item.why, margin) if item.why != before else ()
            before, item = item.why, item.value
        yield f"{margin}- {_flow(item)}"


def _comment(text: str, margin: str) -> Iterator[str]:
    wrapped = textwrap.wrap(text, WIDTH - len(margin) - 2, break_long_words=False, break_on_hyphens=False)
    yield from (f"{margin}# {line}" for line in wrapped)


def _flow(value: Any) -> str:
    """Return a value on one line of YAML."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**9, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")
