"""Rollout: how another version comes to answer: by following the champion, beside it for a share, or unheard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from service.http.bentos import Bentos, OtherCodeError, RefusedError
from service.http.limits import SettingError
from service.http.version import Version
from service.predict.predictor import Predictor
from service.records.reader import PARSERS

FOLLOW, SHADOW, SPLIT = "SEXTANT_FOLLOW", "SEXTANT_SHADOW", "SEXTANT_SPLIT"
Share = Annotated[float, Meta(ge=0, le=1)]
canonical = msgspec.json.Encoder(order="deterministic").encode


class Rollout(msgspec.Struct, frozen=True):
    """The settings: seconds between looks at the champion, tags of a shadow and of a challenger, and its share."""

    follow: Annotated[float, Meta(ge=0, le=86_400)] = 0.0
    shadow: str = ""
    challenger: str = ""
    share: Share = 0.0


def read_rollout(environment: Mapping[str, str]) -> Rollout | None:
    """Return the rollout that the environment sets; None: nothing is set. Raises SettingError."""
    given = {name: environment[name] for name in (FOLLOW, SHADOW, SPLIT) if environment.get(name)}
    if not given:
        return None
    tag, _, share = given.get(SPLIT, "").rpartition(":")
    if SPLIT in given and not (tag and share):
        raise SettingError(f"{SPLIT} takes <tag>:<share>, such as 4-1f3a:0.1; given: {given[SPLIT]!r}")
    fields = {"follow": given.get(FOLLOW, "0"), "shadow": given.get(SHADOW, ""), "challenger": tag}
    try:
        return msgspec.convert({**fields, "share": share or "0"}, Rollout, strict=False)
    except msgspec.ValidationError as error:
        raise SettingError(
            f"a setting of {FOLLOW}, {SHADOW} and {SPLIT} cannot be used: {error}; given: {given}"
        ) from None


class Split:
    """Lets a challenger answer for a share of the keys, the same ones in every process and for as long as it is named.

    A record without a key counts by its content; values count, and not how they are spelled.
    """

    def __init__(self, challenger: Version, share: float) -> None:
        self.challenger = challenger
        self._columns = challenger.predictor.columns
        self._key = sorted(challenger.predictor.plan.key)
        self._salt = (challenger.tag or "").encode()  # the next challenger has other keys to answer for
        self._below = int(share * 2**64)

    def takes(self, record: Any) -> bool:
        """Check that the challenger answers for a record."""
        said = self._values(record) if isinstance(record, dict) else record
        if self._key and isinstance(said, dict) and all(column in said for column in self._key):
            said = [said[column] for column in self._key]
        digest = blake2b(canonical(said), digest_size=8, key=self._salt[:64]).digest()
        return int.from_bytes(digest, "big") < self._below

    def _values(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values that are there, each in one spelling: 7.0 is 7, and a time may have a space for its T."""
        values = {name: value for name, value in record.items() if value is not None}
        for name, value in values.items():
            if type(value) is float and value.is_integer():
                values[name] = int(value)
            elif self._columns.get(name) == "time":
                with suppress(ValueError):  # whoever answers will refuse it
                    values[name] = str(PARSERS["time"](value))
        return values

    def groups(self, champion: Version, records: Sequence[Any]) -> list[tuple[Version, list[int]]]:
        """Return the versions that answer records, with the indices of those of each."""
        if champion.tag == self.challenger.tag or not alike(champion, self.challenger):
            return [(champion, list(range(len(records))))]
        taken = [self.takes(record) for record in records]
        sides = [(champion, False), (self.challenger, True)]
        groups = [(version, [i for i, side in enumerate(taken) if side is is_taken]) for version, is_taken in sides]
        return [(version, indices) for version, indices in groups if indices]

    def described(self, document: dict[str, Any]) -> dict[str, Any]:
        """Return an OpenAPI document in which what differs by version may be told for each record of a list."""
        schemas = document["components"]["schemas"]
        answers = schemas["Answers"]
        properties = {name: _or_list(value) for name, value in answers["properties"].items()}
        named = {**schemas, "Answers": {**answers, "properties": properties}}
        return {**document, "components": {**document["components"], "schemas": named}}


def _or_list(schema: dict[str, Any]) -> dict[str, Any]:
    return schema if schema.get("type") == "array" else {"anyOf": [schema, {"type": "array", "items": schema}]}


def load_beside(bentos: Bentos, tag: str, setting: str, champion: Version) -> Version:
    """Load a Bento that answers beside the champion; raises SettingError where it cannot."""
    try:
        version = bentos.load(tag)
    except OtherCodeError as error:
        raise SettingError(f"{setting}: {error} than {champion.tag}; build both with the same one") from None
    except RefusedError as error:
        raise SettingError(f"{setting}: {error}") from None
    if not alike(version, champion):
        raise SettingError(f"{setting}: {version.tag} takes other records, or answers otherwise, than {champion.tag}")
    return version


def alike(version: Version, other: Version) -> bool:
    """Check that two versions take the same records, and answer in the same words."""
    return _words(version.predictor) == _words(other.predictor)


def _words(predictor: Predictor) -> tuple[Any, ...]:
    plan = predictor.plan
    decided = len(predictor.thresholds), predictor.model.interval is None
    return plan.record, plan.required, plan.key, plan.task, decided


def interleave(parts: Sequence[tuple[list[int], Mapping[str, Any]]]) -> dict[str, Any]:
    """Return the answer to a list of records of which each part answers some, by their indices.

    A list with an entry for each record has those of all parts. What is said once, and differs, becomes such a list.
    """
    if len(parts) == 1:
        return dict(parts[0][1])
    return {name: _joined(name, parts) for name in dict.fromkeys(name for _, content in parts for name in content)}


def _joined(name: str, parts: Sequence[tuple[list[int], Mapping[str, Any]]]) -> Any:
    values = [(indices, content.get(name, [None] * len(indices))) for indices, content in parts]
    entries = [value if _is_list(value, indices) else [value] * len(indices) for indices, value in values]
    if not any(_is_list(value, indices) for indices, value in values) and all(v == values[0][1] for _, v in values):
        return values[0][1]
    places = [index for indices, _ in values for index in indices]
    return [entry for _, entry in sorted(zip(places, (e for part in entries for e in part), strict=True), key=_first)]


def _first(pair: tuple[int, Any]) -> int:
    return pair[0]


def _is_list(value: Any, indices: Sequence[int]) -> bool:
    return isinstance(value, list) and len(value) == len(indices)
