"""The plan of a reproduction: which results are made again, in which order, and which of them by one run."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from resources.ledger import Ledger, LedgerError

NOT_COMPARED = ("bento",)  # a package of the model that is compared; it is verified whenever it is made
Maker = tuple[str, str, int]  # the hashes of source and config, and the seed


class ReproduceError(RuntimeError):
    """Something that is needed to make a result again is missing, or does not run."""


def stage(record: Mapping[str, Any]) -> str:
    """Return the name of a record's asset without the use case."""
    return str(record["run"]["asset"]).partition("/")[2]


def plan(ledger: Ledger, identity: str) -> list[str]:
    """Return the ids that a result was made from, and its own, each after what it needs.

    A model brings its latest evaluation and predictions along. Raises ReproduceError where a record is not kept here.
    """
    goals = [identity]
    if stage(ledger.records[identity]) == "onnx_model":
        users = list(_users(ledger, identity))
        for name in ("evaluation", "predictions"):
            goals += [user for user in users if stage(ledger.records[user]) == name][:1]
    try:
        ordered = dict.fromkeys(source for goal in goals for source in ledger.in_order(goal))
    except LedgerError as error:
        raise ReproduceError(str(error)) from error
    return [source for source in ordered if stage(ledger.records[source]) not in NOT_COMPARED]


def _users(ledger: Ledger, identity: str) -> Iterator[str]:
    """Yield the ids of what was made from a result, directly or not, the latest first.

    What was only compared with it, as with a champion, was not made from it.
    """
    descendants = {identity}
    for other, record in ledger.records.items():  # each after what it was made from
        if not descendants.isdisjoint(_sources(record)):
            descendants.add(other)
    return (other for other in reversed(ledger.records) if other in descendants - {identity})


def _sources(record: Mapping[str, Any]) -> list[str]:
    return [loaded["coordinates"] for name, loaded in record["data"].items() if name != "champion"]


@dataclass
class Run:
    """Results that one run makes again: by one source, config and seed, and knowing one version of each asset."""

    maker: Maker
    makes: list[str] = field(default_factory=list)
    knows: dict[str, str] = field(default_factory=dict)

    def can_make(self, maker: Maker, versions: Mapping[str, str]) -> bool:
        """Check that a result fits into this run; `versions` are the ids of its inputs, and its own, by asset."""
        same_versions = all(self.knows.get(asset, version) == version for asset, version in versions.items())
        return maker == self.maker and same_versions


def runs(ledger: Ledger, ids: Sequence[str]) -> list[Run]:
    """Return the runs that make results again, in the order of `ids`; neighbours share one where they can."""
    planned: list[Run] = []
    for identity in ids:
        record = ledger.records[identity]
        maker = record["code"]["tree"], record["config"], record["seed"]
        versions = {ledger.records[version]["run"]["asset"]: version for version in [*_sources(record), identity]}
        if not planned or not planned[-1].can_make(maker, versions):
            planned.append(Run(maker))
        planned[-1].makes.append(identity)
        planned[-1].knows |= versions
    return planned
