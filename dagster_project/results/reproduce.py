"""Makes a result again from what was recorded of it, and compares."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from dagster_project.results.comparison import Verdict, compare_results
from dagster_project.results.diff import changed_coordinates
from ml.provenance.coordinates import THREAD_SETTINGS, environment_coordinate
from resources.home import home
from resources.ledger import Ledger, LedgerError
from resources.storage import METADATA, Storage, StorageError, Stored

ROWS_TO_SCORE = 5000
NOT_COMPARED = ("bento",)  # a package of the model that is compared; it is verified whenever it is made
Say = Callable[[str], None]


class ReproduceError(RuntimeError):
    """What is needed to make a result again is missing, or does not run."""


@dataclass(frozen=True)
class Row:
    """One asset of a reproduction."""

    asset: str
    coordinates: str
    verdict: Verdict
    changed: tuple[str, ...] = ()


def stage(record: dict[str, Any]) -> str:
    """The asset's name without the use case."""
    return str(record["run"]["asset"]).partition("/")[2]


def plan(ledger: Ledger, identity: str) -> list[str]:
    """The ids that a result was made from, and itself, each after what it needs.

    A model brings its latest evaluation and predictions along. Raises ReproduceError where a record is not kept here.
    """
    goals = [identity]
    if stage(ledger.records[identity]) == "onnx_model":
        users = list(_users(ledger, identity))
        latest = (
            next((u for u in users if stage(ledger.records[u]) == s), None) for s in ("evaluation", "predictions")
        )
        goals += [each for each in latest if each]
    try:
        ordered = dict.fromkeys(each for goal in goals for each in ledger.in_order(goal))
    except LedgerError as error:
        raise ReproduceError(str(error)) from error
    return [each for each in ordered if stage(ledger.records[each]) not in NOT_COMPARED]


def _users(ledger: Ledger, identity: str) -> Iterator[str]:
    """What was made from a result, directly and not, the latest first; what was only compared with it was not."""
    found = {identity}
    for other, record in ledger.records.items():  # each after what it was made from
        if any(loaded["coordinates"] in found for name, loaded in record["data"].items() if name != "champion"):
            found.add(other)
    return (other for other in reversed(ledger.records) if other in found - {identity})


@dataclass
class _Run:
    """Results that one run makes again: by one source, config and seed, and knowing one version of each asset."""

    maker: tuple[str, str, int]
    makes: list[str] = field(default_factory=list)
    knows: dict[str, str] = field(default_factory=dict)

    def takes(self, maker: tuple[str, str, int], versions: dict[str, str]) -> bool:
        """Whether a result belongs into this run; `versions` are the ids of its inputs, and its own, by asset."""
        return maker == self.maker and all(self.knows.get(asset, each) == each for asset, each in versions.items())


def _runs(ledger: Ledger, ids: list[str]) -> list[_Run]:
    """The runs that make results again, in order; neighbours share one where they can."""
    runs: list[_Run] = []
    for identity in ids:
        record = ledger.records[identity]
        maker = record["code"]["tree"], record["config"], record["seed"]
        sources = [loaded["coordinates"] for name, loaded in record["data"].items() if name != "champion"]
        versions = {ledger.records[each]["run"]["asset"]: each for each in [*sources, identity]}
        if not runs or not runs[-1].takes(maker, versions):
            runs.append(_Run(maker))
        runs[-1].makes.append(identity)
        runs[-1].knows |= versions
    return runs


def reproduce(ledger: Ledger, identity: str, scratch: Path, say: Say, python: str = sys.executable) -> list[Row]:
    """Runs everything again in `scratch` from archived source, snapshots and config, and compares asset by asset."""
    ids, made = plan(ledger, identity), dict[str, _Made]()
    raw = [each for each in ids if stage(ledger.records[each]).startswith("raw/")]
    rows = []
    for each in raw:
        made[each], row = _copied(ledger, each, scratch)
        rows.append(row)
    with _instance(scratch) as instance:
        for run in _runs(ledger, [each for each in ids if each not in made]):
            assets = [str(ledger.records[each]["run"]["asset"]) for each in run.makes]
            say(f"making {', '.join(asset.partition('/')[2] for asset in assets)}")
            for asset, each in run.knows.items():
                if each not in run.makes:
                    _present(instance, asset, made[each])
            _run(ledger, ledger.get(run.makes[0]), assets, scratch, python)
            again = Ledger(scratch / "home")
            made |= {each: _made(again, asset) for each, asset in zip(run.makes, assets, strict=True)}
            rows += [_compared(ledger, each, again, made[each].coordinates, scratch) for each in run.makes]
    return rows


@dataclass(frozen=True)
class _Made:
    """A result in the scratch home."""

    coordinates: str
    stored: Stored


def _made(again: Ledger, asset: str) -> _Made:
    identity = again.latest_of(asset)
    if identity is None:
        raise ReproduceError(f"the run ended well, but made no {asset}")
    return _Made(identity, Stored(**again.records[identity]["result"]))


def _present(instance: dg.DagsterInstance, asset: str, made: _Made) -> None:
    """Makes a result the latest materialization of its asset, which is what a run loads."""
    metadata = {
        METADATA: dg.MetadataValue.json(asdict(made.stored)),
        "coordinates id": dg.MetadataValue.text(made.coordinates),
    }
    instance.report_runless_asset_event(dg.AssetMaterialization(dg.AssetKey(asset.split("/")), metadata=metadata))


def _instance(scratch: Path) -> dg.DagsterInstance:
    folder = scratch / "home" / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    return dg.DagsterInstance.from_config(str(folder))


def _copied(ledger: Ledger, identity: str, scratch: Path) -> tuple[_Made, Row]:
    """A snapshot, verified, in the scratch home."""
    asset, stored = ledger.records[identity]["run"]["asset"], Stored(**ledger.records[identity]["result"])
    copied = _storage(scratch).save(asset, _recorded(asset, stored))
    same = Verdict("identical", "snapshot")
    verdict = same if copied.hash == stored.hash else Verdict("different", "the snapshot's values have another hash")
    return _Made(identity, copied), Row(asset, identity, verdict)


def _recorded(asset: str, stored: Stored) -> Any:
    """A stored value of this home; raises ReproduceError that names its asset."""
    try:
        return _storage().load(stored)
    except StorageError as error:
        snapshot = "; that helps if its source still has the same content, else take it from a backup"
        raise ReproduceError(f"{asset}: {error}{snapshot if '/raw/' in asset else ''}") from error


def _storage(scratch: Path | None = None) -> Storage:
    """Where results lie: in a scratch home, or in this one."""
    return Storage(url=str(scratch / "home" / "storage") if scratch else os.environ.get("SEXTANT_STORAGE_URL", ""))


def _run(ledger: Ledger, coordinates: dict[str, Any], assets: list[str], scratch: Path, python: str) -> None:
    """Materializes assets with the archived source and the recorded config and thread settings."""
    project = _project(ledger, coordinates, scratch)
    log = home() / "logs" / "reproduce.log"  # not in the scratch home, which may be gone when somebody reads it
    log.parent.mkdir(parents=True, exist_ok=True)
    select = " or ".join(f'key:"{asset}"' for asset in assets)
    command = [python, "-W", "ignore", "-m", "dagster", "asset", "materialize", "-m", "dagster_project.definitions"]
    settings = {name: value for name, value in coordinates["environment"]["threads"].items() if value is not None}
    settings |= {"SEXTANT_HOME": str(scratch / "home"), "DAGSTER_HOME": str(scratch / "home" / "dagster")}
    not_these = (*THREAD_SETTINGS, "SEXTANT_STORAGE_URL", "SEXTANT_STUDIES_URL", "MLFLOW_TRACKING_URI")
    environment = {name: value for name, value in os.environ.items() if name not in not_these} | settings
    with open(log, "wb") as sink:
        done = subprocess.run(
            [*command, "--select", select],
            cwd=project,
            env={**environment, "PYTHONPATH": str(project)},
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
    if done.returncode:
        lines = log.read_text(errors="replace").splitlines()
        reasons = [line for line in lines if "Error: " in line or "Failure: " in line]
        raise ReproduceError(f"the run failed; its log is {log}\n" + "\n".join(reasons[-2:]))


def _project(ledger: Ledger, coordinates: dict[str, Any], scratch: Path) -> Path:
    """The archived source with the recorded config as its only use case."""
    tree, use_case = coordinates["code"]["tree"], coordinates["run"]["asset"].partition("/")[0]
    folder = scratch / f"project-{tree[:12]}-{coordinates['config']['hash'][:12]}-{coordinates['seed']}"
    if folder.exists():
        return folder
    try:
        source = ledger.source(tree)
    except LedgerError as error:
        raise ReproduceError(str(error)) from error
    for path, content in source.files.items():
        if path.count("/") < 2 or not path.startswith("configs/"):  # no other use case
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
    (folder / "configs" / use_case).mkdir()
    attributes = {**coordinates["config"]["value"], "seed": coordinates["seed"]}
    declared = {"type": "dagster_project.components.UseCase", "attributes": attributes}
    (folder / "configs" / use_case / "defs.yaml").write_text(yaml.safe_dump(declared))
    return folder


def _compared(ledger: Ledger, identity: str, again: Ledger, other: str, scratch: Path) -> Row:
    record = ledger.records[identity]
    asset, first, second = (
        record["run"]["asset"],
        Stored(**record["result"]),
        Stored(**again.records[other]["result"]),
    )
    if first.hash == second.hash:
        return Row(asset, identity, Verdict("identical"))
    verdict = compare_results(_recorded(asset, first), _storage(scratch).load(second), **_allowed(ledger, identity))
    return Row(asset, identity, verdict, tuple(changed_coordinates(ledger.get(identity), again.get(other))))


def _allowed(ledger: Ledger, identity: str) -> dict[str, Any]:
    """The tolerance that the config states for the families that a result comes from, and rows to compare models on."""
    chain = {stage(ledger.records[each]): each for each in ledger.in_order(identity)}
    families = ledger.get(identity)["config"]["value"]["models"]
    stated = [families[name].get("tolerance", 0) for name in families if families[name] and f"models/{name}" in chain]
    if not any(stated):
        return {}
    matrix = ledger.records[chain["features/development"]]
    rows = _recorded(matrix["run"]["asset"], Stored(**matrix["result"])).head(ROWS_TO_SCORE)
    return {"tolerance": max(stated), "rows": rows}


def differences(recorded: dict[str, Any]) -> list[str]:
    """How this machine's environment differs from a recorded one."""
    now = environment_coordinate()
    found = [
        f"{name} was {recorded[name]}, is {now[name]}"
        for name in ("python", "platform", "processor", "cores", "accelerators")
        if recorded[name] != now[name]
    ]
    then, here = recorded["distributions"], now["distributions"]
    changed = sorted(name for name in then.keys() | here.keys() if then.get(name) != here.get(name))
    return [*found, *(f"{name} was {then.get(name, 'absent')}, is {here.get(name, 'absent')}" for name in changed)]


def rebuilt(recorded: dict[str, Any], scratch: Path) -> str:
    """The Python of a new environment with the recorded distributions.

    Raises ReproduceError if the recorded Python is not installed or a distribution is not to be had.
    """
    version = str(recorded["python"]).rpartition(".")[0]
    base = shutil.which(f"python{version}")
    if base is None:
        raise ReproduceError(f"the environment needs Python {version}, and there is no python{version} on the path")
    folder = scratch / "environment"
    subprocess.run([base, "-m", "venv", folder], check=True)
    # A local version, such as that of a CPU build of torch, is not on every index: the public one is the same release.
    pins = [f"{name}=={version.partition('+')[0]}" for name, version in recorded["distributions"].items()]
    pins = [pin for pin in pins if not pin.startswith(("sextant==", "pip=="))]
    (scratch / "pins.txt").write_text("\n".join(pins))
    python = str(folder / "bin" / "python")
    install = [python, "-m", "pip", "install", "--no-deps", "-r", str(scratch / "pins.txt")]
    done = subprocess.run(install, capture_output=True, text=True)
    if done.returncode:
        raise ReproduceError(f"the recorded environment cannot be installed: {done.stderr.strip()[-1000:]}")
    return python


def explained(ledger: Ledger, rows: list[Row]) -> str | None:
    """The first asset that differs, and the coordinates that explain it; None if none does."""
    first = next((row for row in rows if row.verdict.word == "different"), None)
    if first is None:
        return None
    why = f"its {', '.join(first.changed)} differ" if first.changed else "though every coordinate is the recorded one"
    details = differences(ledger.get(first.coordinates)["environment"]) if "environment" in first.changed else []
    return f"{first.asset} is the first that differs: {'; '.join([why, *details[:5]])}"


def as_text(rows: list[Row]) -> str:
    """The rows as a table."""
    lines = [f"{row.verdict.word:<10} {row.asset:<44} {row.coordinates}  {row.verdict.detail}" for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def as_json(rows: list[Row]) -> str:
    """The rows as JSON."""
    found = [
        {"asset": row.asset, "coordinates": row.coordinates, "verdict": row.verdict.word, "detail": row.verdict.detail}
        for row in rows
    ]
    return json.dumps(found, indent=1)
