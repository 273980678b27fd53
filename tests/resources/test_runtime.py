"""What a Bento requires: what its plan needs, complete, pinned, and hashed as a whole or not at all."""

import ast
import json
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any, get_args

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ml.declaration.bento import Extra
from resources.bentos import SERVICE
from resources.runtime import (
    ALWAYS,
    EXTRAS,
    LOCK,
    MissingPackageError,
    Requirements,
    known_hashes,
    packages,
    pins,
    requirements,
)

ROOT = Path(__file__).parents[2]
FLAT = {"use_case": "small", "record": {"size": "number"}, "required": [], "features": []}
LOOKUP = {"planes": {"kind": "static", "file": "planes.parquet", "on": ["size"], "keys": ["size"]}}
EVENTS = {"flights": {"record": {"id": "text"}, "key": "id", "views": []}}
LATEST = {**LOOKUP["planes"], "kind": "latest", "time": "seen"}
SOURCE = {"table": "planes", "time": "seen", "file": "planes.parquet"}
AGED = {
    "record": {"size": "number", "at": "time"},
    "required": ["at"],
    "cutoff": {"column": "at", "before_s": 0},
    "lookups": {"planes": LATEST},
    "sources": [SOURCE],
}
SYNTHESIS = {"query": "select 1", "instance": {"column": "size", "type": "DOUBLE"}}


def plan(**parts: Any) -> bytes:
    return json.dumps({**FLAT, **parts}).encode()


def names(of: list[str]) -> set[str]:
    return {pin.partition("==")[0] for pin in of}


@pytest.mark.parametrize(
    ("parts", "extras", "more"),
    [
        ({}, [], {"onnxruntime"}),
        ({"lookups": LOOKUP}, [], {"onnxruntime", "pyarrow"}),
        ({"events": EVENTS}, [], {"onnxruntime", "duckdb"}),
        (AGED, [], {"onnxruntime", "pyarrow"}),
        ({**AGED, "sources": [{**SOURCE, "timezone": "Europe/Rome"}]}, [], {"onnxruntime", "pyarrow", "tzdata"}),
        ({"synthesis": SYNTHESIS}, [], {"onnxruntime", "duckdb", "pyarrow"}),
        ({}, ["arrow"], {"onnxruntime", "pyarrow"}),
        ({}, ["gpu"], {"onnxruntime-gpu"}),
        ({}, ["grpc", "postgres"], {"onnxruntime", "grpcio", "protobuf", "psycopg2-binary"}),
    ],
)
def test_packages_are_those_of_the_plan_and_those_that_are_asked_for(
    parts: dict[str, Any], extras: list[str], more: set[str]
) -> None:
    assert set(packages(plan(**parts), extras)) == {*ALWAYS, *more}


def test_each_extra_can_be_declared() -> None:
    assert list(get_args(Extra)) == sorted(EXTRAS)


def test_what_the_service_imports_is_required() -> None:
    required = {*ALWAYS, "duckdb", "tzdata", *(package for extra in EXTRAS.values() for package in extra)}
    owners = packages_distributions()

    imported = set()
    for path in SERVICE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").partition(".")[0])
    outside = imported - set(sys.stdlib_module_names) - {"service"}

    assert {name for name in outside if not required & set(map(canonicalize_name, owners[name]))} == set()


def test_pins_are_complete() -> None:
    pinned = pins(packages(plan()))

    installed = json.loads(
        subprocess.run(
            [sys.executable, "-m", "pip", "inspect"], capture_output=True, text=True, check=True, cwd=ROOT
        ).stdout
    )["installed"]
    about = {canonicalize_name(entry["metadata"]["name"]): entry["metadata"] for entry in installed}
    about["onnxruntime"] = about["onnxruntime-gpu"]
    for name in names(pinned):
        needs = map(Requirement, about[name].get("requires_dist", []))
        plain = [need.name for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]
        assert set(map(canonicalize_name, plain)) <= names(pinned)
    assert sorted(pinned) == sorted(f"{name}=={about[name]['version']}" for name in names(pinned))
    assert {"pandas", "torch", "dagster", "mlflow", "pyarrow", "duckdb", "setuptools"} & names(pinned) == set()


def test_extras_of_a_requirement_are_followed() -> None:
    assert "fsspec" in names(pins(["universal-pathlib"]))
    assert "aiohttp" in names(pins(["fsspec[http]"]))
    assert "aiohttp" not in names(pins(["fsspec"]))


def test_a_package_that_is_not_installed_is_named() -> None:
    with pytest.raises(MissingPackageError, match=r"needs the package no-such-thing, .*: pip install no-such-thing"):
        pins(["No_Such.Thing"])


def test_the_lock_has_the_hashes_of_all_that_any_bento_needs_at_the_versions_of_the_project() -> None:
    locked = dict(pin.split("==") for pin in known_hashes(LOCK.read_text()))
    project = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    project["onnxruntime"] = project["onnxruntime-gpu"]

    assert {name: project.get(name) for name in locked} == locked
    everything = plan(lookups=LOOKUP, events=EVENTS, synthesis=SYNTHESIS)
    for extras in ((), sorted(EXTRAS)):
        assert names(requirements(everything, extras).pins) <= set(locked)


def test_hashes_are_given_for_all_or_for_none() -> None:
    hashes = {"a==1": ["sha256:aa", "sha256:ab"], "b==2": ["sha256:ba"]}

    hashed = Requirements(["a==1", "b==2"], hashes).text()
    plain = Requirements(["a==1", "b==3"], hashes).text()

    assert hashed == "a==1 \\\n    --hash=sha256:aa \\\n    --hash=sha256:ab\nb==2 \\\n    --hash=sha256:ba\n"
    assert known_hashes(hashed) == hashes
    assert plain == "# without hashes: runtime.lock has none of ['b==3']\na==1\nb==3\n"
