"""Texts as numbers: the one way from a text to the weights of its words and characters, in training and in a service.

A text is brought to one spelling (Unicode's NFKC and case folding) and cut into words: runs of letters, digits and
the marks that belong to them. Word n-grams are words that follow each other; character n-grams lie inside of a word
with a space at either end. Only additions, products, quotients and square roots in double follow, which all machines
round alike: the same text has the same bits everywhere.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from service.plan.parts import Part

Kind = Literal["words", "characters"]
Span = tuple[int, int]

MOST_COUNTED = 1_000_000  # different n-grams that are counted at once; beyond, the rarest ones so far are forgotten
MOST_MARKS = (
    30  # that follow each other, as in Unicode's stream-safe texts: more are sorted in the square of their number
)
_WORD = re.compile(r"[^\W_][^ ]*")  # a mark alone is no word


class Grams(Part, frozen=True):
    """The n-grams of one kind, from `shortest` to `longest`, that a model knows: `terms`, and the weight of each."""

    kind: Kind
    shortest: int
    longest: int
    terms: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if len(self.terms) != len(self.weights):
            raise ValueError(f"{len(self.terms)} {self.kind} have {len(self.weights)} weights")


class Vocabulary(Part, frozen=True):
    """The n-grams of a column of texts: of each kind at most `most`, each of them in at least `rows` training rows."""

    column: str
    grams: tuple[Grams, ...]
    most: int
    rows: int

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the numbers that a text becomes: first, whether it has no word at all."""
        known = [f'{self.column}: {grams.kind} "{term}"' for grams in self.grams for term in grams.terms]
        return f"{self.column}: no words", *known

    def learned(self, texts: Sequence[str | None]) -> Vocabulary:
        """Return a vocabulary of the same kinds that is learned from these texts alone."""
        grams = tuple(_learned(grams, texts, self.most, self.rows) for grams in self.grams)
        return Vocabulary(self.column, grams, self.most, self.rows)


class Numbers:
    """The numbers that a text becomes by a vocabulary."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.width = len(vocabulary.features)
        self._known: list[tuple[Grams, Mapping[str, int], int]] = []
        first = 1
        for grams in vocabulary.grams:
            self._known.append((grams, {term: place for place, term in enumerate(grams.terms)}, first))
            first += len(grams.terms)

    def of(self, text: str | None) -> dict[int, float]:
        """Return the numbers of a text that are not 0, by their places among the vocabulary's features.

        Those of each kind are how often a term is there times its weight, divided by the root of the sum of their
        squares. A text without words, as a missing one, has 1 at the first place and nothing else.
        """
        words = words_of(text or "")
        if not words:
            return {0: 1.0}
        numbers = dict[int, float]()
        for grams, places, first in self._known:
            counts = Counter(places[term] for term in _terms(words, grams) if term in places)
            weighted = {place: count * grams.weights[place] for place, count in counts.items()}
            length = math.sqrt(math.fsum(weight * weight for weight in weighted.values()))
            numbers |= {first + place: weight / length for place, weight in weighted.items()}
        return numbers

    def write(self, block: Any, texts: Iterable[str | None]) -> None:
        """Write the numbers of texts into `block`, an array float32 [n_rows, width]."""
        block[:] = 0
        for row, text in zip(block, texts, strict=True):
            numbers = self.of(text)
            row[list(numbers)] = list(numbers.values())


def unlearned(column: str, spans: Mapping[Kind, Span], most: int, rows: int) -> Vocabulary:
    """Return a vocabulary that has learned nothing yet, of n-grams of these kinds, from the shortest to the longest."""
    return Vocabulary(column, tuple(Grams(kind, *spans[kind]) for kind in spans), most, rows)


def is_number_of(column: str, name: str) -> bool:
    """Return whether a number that a column of texts becomes may have this name."""
    about = name.removeprefix(f"{column}: ")
    return about != name and (about == "no words" or about.startswith(('words "', 'characters "')))


class _Letters(dict[int, int]):
    """Characters by code: each is itself where it is part of a word, and a space where it is not."""

    def __missing__(self, code: int) -> int:
        letter = chr(code)
        self[code] = code if letter.isalnum() or unicodedata.category(letter).startswith("M") else ord(" ")
        return self[code]


class _Sorted(dict[int, str]):
    """Characters by code: a mark that a spelling sorts among its neighbours is a plus, all others are spaces."""

    def __missing__(self, code: int) -> str:
        self[code] = "+" if unicodedata.combining(chr(code)) else " "
        return self[code]


_LETTERS, _SORTED = _Letters(), _Sorted()
_MANY = re.compile(rf"\+{{{MOST_MARKS + 1},}}")


def words_of(text: str) -> list[str]:
    """Return the words of a text, in one spelling each, in their order."""
    folded = unicodedata.normalize("NFKC", _bounded(text)).casefold()
    return _WORD.findall(unicodedata.normalize("NFKC", folded).translate(_LETTERS))


def _bounded(text: str) -> str:
    """Return a text without the marks that follow MOST_MARKS others."""
    if text.isascii():
        return text
    ends = [
        0,
        *(end for run in _MANY.finditer(text.translate(_SORTED)) for end in (run.start() + MOST_MARKS, run.end())),
    ]
    return "".join(text[start:end] for start, end in zip(ends[::2], [*ends[1::2], len(text)], strict=True))


def _terms(words: Sequence[str], grams: Grams) -> Iterator[str]:
    """Yield the n-grams of one kind, each as often as it is there."""
    lengths = range(grams.shortest, grams.longest + 1)
    if grams.kind == "words":
        return (
            " ".join(words[start : start + length]) for length in lengths for start in range(len(words) - length + 1)
        )
    return (
        word[start : start + length]
        for word in map(" {} ".format, words)
        for length in lengths
        for start in range(len(word) - length + 1)
    )


def _learned(grams: Grams, texts: Sequence[str | None], most: int, rows: int) -> Grams:
    """Return the n-grams that most texts have, those in most first, then by name; rare ones weigh more.

    The weight is 1 + ln((1 + texts) / (1 + texts that have it)), as scikit-learn's.
    """
    counts = _counted(set(_terms(words_of(text or ""), grams)) for text in texts)
    frequent = sorted((term for term in counts if counts[term] >= rows), key=lambda term: (-counts[term], term))[:most]
    weights = tuple(1 + math.log((1 + len(texts)) / (1 + counts[term])) for term in frequent)
    return Grams(grams.kind, grams.shortest, grams.longest, tuple(frequent), weights)


def _counted(distinct: Iterable[set[str]]) -> Counter[str]:
    """Return in how many texts each n-gram is, in bounded memory: exact until there are too many different ones.

    Then those seen least are forgotten, which changes no count by more than how often that happened (Manku and Motwani
    2002, Approximate Frequency Counts over Data Streams, VLDB).
    """
    counts, forgotten = Counter[str](), 0
    for terms in distinct:
        counts.update(terms)
        while len(counts) > MOST_COUNTED:
            forgotten += 1
            counts = Counter({term: count for term, count in counts.items() if count > forgotten})
    return counts
