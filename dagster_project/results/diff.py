"""The differences between two results, coordinate by coordinate."""

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
import pyarrow as pa

from dagster_project.results.comparison import compare_results, leaves
from ml.provenance.parsed import module_name
from ml.provenance.source import Source
from resources.ledger import Ledger
from resources.storage import StorageError, Stored, storage

SHOWN = 40  # lines of a source diff, and of a list
Pair = tuple[Mapping[str, Any], Mapping[str, Any]]  # two whole records of one asset


def changed_coordinates(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """Return the coordinates in which two whole records differ, in the order of their influence; `run` always does."""
    data = [{name: loaded["hash"] for name, loaded in record["data"].items()} for record in (first, second)]
    same = {
        "data": data[0] == data[1],
        "code": first["code"]["source"] == second["code"]["source"],
        "config": first["config"]["hash"] == second["config"]["hash"],
        "environment": first["environment"]["id"] == second["environment"]["id"],
        "seed": first["seed"] == second["seed"],
    }
    return [name for name, equal in same.items() if not equal]


def diff(ledger: Ledger, first: str, second: str) -> Iterator[str]:
    """Yield lines about what differs between two results and all that they were made from, and last what came of it.

    Each coordinate is shown for the first asset, from the raw snapshots on, in which it differs.
    """
    chains = [_chain(ledger, identity) for identity in (first, second)]
    raw, changed = _raw_that_differ(ledger, *chains), dict[str, list[Pair]]()
    for asset in chains[0]:
        if chains[1].get(asset, chains[0][asset]) == chains[0][asset]:
            continue
        one, other = (ledger.get(chain[asset]) for chain in chains)
        for name in changed_coordinates(one, other):
            changed.setdefault(name, []).append((one, other))
    if raw:
        yield from _data(ledger, raw, *chains)
    for name, lines in {"code": _code, "config": _config, "environment": _environment, "seed": _seed}.items():
        if name in changed:
            yield f"{name}, from {changed[name][0][0]['run']['asset']} on"
            yield from lines(ledger, changed[name])
    if not raw and not changed:
        yield "data, code, config, environment and seed are the same"
    yield from _result(ledger.get(first), ledger.get(second))


def _chain(ledger: Ledger, identity: str) -> dict[str, str]:
    """Return every asset that a result was made from, and its own, with the ids: each after what it needs."""
    return {str(ledger.records[source]["run"]["asset"]): source for source in ledger.in_order(identity)}


def _raw_that_differ(ledger: Ledger, first: Mapping[str, str], second: Mapping[str, str]) -> list[str]:
    def content(chain: Mapping[str, str], asset: str) -> object:
        return ledger.records[chain[asset]]["result"]["hash"] if asset in chain else None

    assets = sorted(asset for asset in {*first, *second} if asset.partition("/")[2].startswith("raw/"))
    return [asset for asset in assets if content(first, asset) != content(second, asset)]


def _data(ledger: Ledger, raw: list[str], first: Mapping[str, str], second: Mapping[str, str]) -> Iterator[str]:
    yield "data"
    for asset in raw:
        if asset not in first or asset not in second:
            yield f"  {asset}: only in the {'second' if asset not in first else 'first'}"
            continue
        try:
            tables = [_table(ledger, chain[asset]) for chain in (first, second)]
        except StorageError as error:
            yield f"  {asset}: differs; its rows cannot be compared: {error}"
            continue
        yield f"  {asset}: {', '.join(_tables(*tables))}"


def _table(ledger: Ledger, identity: str) -> pa.Table:
    table: pa.Table = storage().load(Stored(**ledger.records[identity]["result"]))
    return table


def _tables(first: pa.Table, second: pa.Table) -> Iterator[str]:
    """Yield the rows and columns that two tables do not share; a changed row counts as removed and added."""
    yield f"{first.num_rows} and {second.num_rows} rows"
    types = [{field.name: str(field.type) for field in table.schema} for table in (first, second)]
    for name in sorted(types[0].keys() | types[1].keys()):
        one, other = (columns.get(name, "absent") for columns in types)
        if one != other:
            yield f"column {name} {one} and {other}"
    shared = sorted(types[0].keys() & types[1].keys())
    counts = [
        pd.util.hash_pandas_object(table.select(shared).to_pandas(), index=False).value_counts()
        for table in (first, second)
    ]
    gap = counts[1].sub(counts[0], fill_value=0)
    yield f"{int(gap.clip(lower=0).sum())} rows added"
    yield f"{int(-gap.clip(upper=0).sum())} rows removed"
    if first.num_rows == second.num_rows:
        changed = [name for name in shared if not first[name].equals(second[name])]
        yield f"changed columns {', '.join(changed)}"


def _code(ledger: Ledger, pairs: list[Pair]) -> Iterator[str]:
    """Yield every line that differs in what the assets could reach, each file once."""
    codes = [record["code"] for record in pairs[0]]
    commits = [f"{str(code['commit'])[:12]}{' (dirty)' * bool(code['dirty'])}" for code in codes]
    yield f"  commit {commits[0]} and {commits[1]}"
    trees = {tree: ledger.source(tree) for pair in pairs for tree in (record["code"]["tree"] for record in pair)}
    files = dict[tuple[str, bytes, bytes], None]()
    for pair in pairs:
        sides = [(trees[record["code"]["tree"]], record["code"]["roots"]) for record in pair]
        for path in sorted({path for tree, roots in sides for path in _files(tree, roots)}):
            first, second = (tree.files.get(path, b"") for tree, _ in sides)
            files[path, first, second] = None
    lines: list[str] = []
    for path, first, second in files:
        old, new = (content.decode(errors="replace").splitlines() for content in (first, second))
        lines += difflib.unified_diff(old, new, path, path, lineterm="", n=1)
    yield from (f"  {line}" for line in lines[:SHOWN])
    if len(lines) > SHOWN:
        yield f"  … {len(lines) - SHOWN} lines more"


def _config(ledger: Ledger, pairs: list[Pair]) -> Iterator[str]:
    one, other = pairs[0]
    return _leaves_that_differ(one["config"]["value"], other["config"]["value"])


def _environment(ledger: Ledger, pairs: list[Pair]) -> Iterator[str]:
    first, second = ({k: v for k, v in record["environment"].items() if k != "id"} for record in pairs[0])
    return _leaves_that_differ(first, second)


def _seed(ledger: Ledger, pairs: list[Pair]) -> Iterator[str]:
    one, other = pairs[0]
    yield f"  {one['seed']} and {other['seed']}"


def _files(source: Source, roots: list[str]) -> list[str]:
    reached = set(source.reach(*roots))
    return [path for path in source.files if module_name(path.rpartition(".")[0]) in reached]


def _leaves_that_differ(first: Any, second: Any) -> Iterator[str]:
    one, other = dict(leaves(first)), dict(leaves(second))
    changed = sorted(path for path in one.keys() | other.keys() if one.get(path) != other.get(path))
    for path in changed[:SHOWN]:
        yield f"  {path}: {json.dumps(one.get(path))} and {json.dumps(other.get(path))}"
    if len(changed) > SHOWN:
        yield f"  … {len(changed) - SHOWN} more"


def _result(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[str]:
    results = [storage().load(Stored(**record["result"])) for record in (one, other)]
    verdict = compare_results(*results)
    yield f"result       {verdict.word}{': ' + verdict.detail if verdict.detail else ''}"
    metrics = [getattr(value, "metrics", {}) for value in results]
    for name in sorted(metrics[0].keys() & metrics[1].keys()):
        first, second = metrics[0][name], metrics[1][name]
        yield f"  {name:<18} {first:.4f} and {second:.4f} ({second - first:+.4f})"
