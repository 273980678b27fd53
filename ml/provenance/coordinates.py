"""Coordinates: the data, code, config, environment, run and seed that a result came from."""

import os
import platform
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from ml.base.gpus import present
from ml.base.hashing import hash_json
from ml.provenance.source import running

THREAD_SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_WAIT_POLICY", "PYTHONHASHSEED")


@dataclass(frozen=True)
class Loaded:
    """Something that was loaded: what it is, the hash of its content, and the id of its own coordinates."""

    asset: str
    hash: str
    coordinates: str


@dataclass(frozen=True)
class Coordinates:
    """The origin of a result. `id` is the hash of all of it."""

    data: dict[str, Loaded]
    code: dict[str, Any]
    config: dict[str, Any]
    environment: dict[str, Any]
    run: dict[str, Any]
    seed: int
    id: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", hash_json(self._parts())[:16])

    def _parts(self) -> dict[str, Any]:
        data = {name: asdict(loaded) for name, loaded in self.data.items()}
        return {
            "data": data,
            **{name: getattr(self, name) for name in ("code", "config", "environment", "run", "seed")},
        }

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values, the id first."""
        return {"id": self.id, **self._parts()}

    def summary(self) -> dict[str, Any]:
        """The short form for tags and tables: hashes instead of the whole config and environment."""
        return {
            "id": self.id,
            "data": {name: loaded.hash for name, loaded in self.data.items()},
            "code": {name: self.code[name] for name in ("source", "commit", "dirty")},
            "config": self.config["hash"][:16],
            "environment": self.environment["id"],
            "run": self.run,
            "seed": self.seed,
        }


def code_coordinate(*roots: str, commit: str) -> dict[str, Any]:
    """Return what ran: the hash of the project's modules that the roots can reach, as this process has read them.

    `tree` names the archive of every file, to the byte. Git's commit and cleanliness say where it came from; where
    there is no git, as in an image, `commit` does, with `-dirty` after it if it was.
    """
    source = running()
    state = origin(source.root, commit)
    return {"source": source.hash(*roots), "roots": list(roots), "tree": source.tree, **state}


def origin(root: Path, commit: str) -> dict[str, Any]:
    """Return commit and cleanliness of a folder: git's, or where there is no git those that `commit` states."""
    if state := git_state(root):
        return state
    identity, _, mark = commit.partition("-")
    return {"commit": identity or None, "dirty": mark == "dirty" if identity else None}


@cache
def git_state(root: Path) -> dict[str, Any] | None:
    """Return git's commit and cleanliness of a folder; None where there is no git."""

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return None
        return done.stdout.strip()

    commit = git("rev-parse", "HEAD")
    return {"commit": commit, "dirty": bool(git("status", "--porcelain"))} if commit else None


@cache
def _installed() -> dict[str, str]:
    # Importing setuptools adds a folder of copies of other packages to the path, which nobody has installed.
    path = [entry for entry in sys.path if "_vendor" not in Path(entry).parts]
    return dict(
        sorted(
            (str(package.name).lower(), str(package.version)) for package in distributions(path=path) if package.name
        )
    )


def environment_coordinate(device: str | None = None) -> dict[str, Any]:
    """Python, platform, processor, accelerators, thread settings and every installed distribution, with a stable id.

    `device` is what a step that wishes for a GPU runs on, known before it runs: "cuda", or "cpu" and why. It is a part
    of the id, and so of what decides whether a result is reused: that of a GPU is never taken for that of a CPU.
    """
    what = {
        "python": sys.version.split()[0],
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "accelerators": [gpu.model or gpu.identity for gpu in present()],
        "threads": {name: os.environ.get(name) for name in THREAD_SETTINGS},
        "distributions": _installed(),
        **({"device": device} if device is not None else {}),
    }
    return {"id": hash_json(what)[:16], **what}


@cache
def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor()
    )
