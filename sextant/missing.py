"""Missing: why there is no such thing in a home, what may have been meant, and what to run."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from resources.ledger import Ledger


def reason(thing: str, ledger: "Ledger") -> str | None:
    """Return why an asset or a model is not there; None for a thing that is neither."""
    name, mark, rest = re.match(r"([^/@:]*)([/@:]?)(.*)", thing, re.S).groups()  # type: ignore[union-attr]
    declared, made = use_cases(), set(assets_made(ledger))
    if name not in {*declared, *(asset.partition("/")[0] for asset in made)}:
        return _unknown(f"use case {name!r}", name, declared) if mark or not re.fullmatch("[0-9a-f]+", name) else None
    command = f"run sextant.materialize({name!r}), or in a terminal: sextant demo {name}"
    if mark in ("@", ":"):
        versions = {str(record["labels"].get("model")) for record in ledger.records.values()}
        models = sorted(label for label in versions if label.startswith(f"{name}:"))
        there = f"there are {', '.join([*models, f'{name}@champion'])}" if models else f"to get one, {command}"
        return f"{name} has no model {mark}{rest} in {ledger.base}; {there}"
    asset = f"{name}/{rest}"
    known = sorted({*assets_declared(name), *(asset for asset in made if asset.startswith(f"{name}/"))})
    if not rest:
        names = ", ".join(known)
        return f"{name} is a use case: name one of its assets, such as {name}/evaluation. There are {names}"
    if asset in assets_declared(name):
        return f"{asset} was not materialized yet in {ledger.base}; {command}"
    return _unknown(f"asset {asset!r}", asset, known)


def use_cases() -> list[str]:
    """Return the names of the declared use cases."""
    from dagster_project.definitions import CONFIGS

    return sorted(file.parent.name for file in CONFIGS.glob("*/defs.yaml"))


def assets_made(ledger: "Ledger") -> Iterable[str]:
    """Yield the assets that were materialized in a home."""
    latest = ledger.folder / "latest"
    return (str(file.relative_to(latest).with_suffix("")) for file in latest.rglob("*.json"))


def assets_declared(use_case: str) -> set[str]:
    """Return the assets of a use case; none of one that is not declared, or whose declaration is broken."""
    import dagster as dg

    from dagster_project.definitions import CONFIGS, resources
    from dagster_project.location.loading import BrokenUseCaseError, load_use_case

    if not (CONFIGS / use_case / "defs.yaml").is_file():
        return set()
    try:
        definitions = dg.Definitions.merge(load_use_case(CONFIGS / use_case), dg.Definitions(resources=resources()))
    except BrokenUseCaseError:
        return set()
    return {"/".join(spec.key.path) for spec in definitions.resolve_all_asset_specs()}


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    names = list(known)
    near = get_close_matches(name, names, 1, 0.6)
    meant = f"; did you mean {near[0]!r}?" if near else "."
    return f"there is no {what}{meant} There are {', '.join(names) or 'none'}"
