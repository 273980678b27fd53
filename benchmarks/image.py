"""What the newest Bento of a use case takes: its environment, and its image if a backend is named, each of them asked.

    python benchmarks/image.py breast_cancer --backend podman --opt network=host

The environment is a new one of the Bento's requirements alone, without pip, after its first start, which has compiled
what it imports. Sizes are in MB, as `du` finds them, or the backend, less those of the base image. A cold start is the
time from the command to the first answer; memory is that of all processes, by the share of each in a page.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from resources.bentos import BentoStore, ask, free_port, stop

BASE = "docker.io/library/python:3.11-slim"


def megabytes(folder: Path) -> float:
    """Return what a folder takes on the disk."""
    done = subprocess.run(["du", "-sk", folder], capture_output=True, text=True, check=True)
    return round(int(done.stdout.split()[0]) * 1024 / 1e6, 1)


def install(requirements: Path, folder: Path) -> Path:
    """Make an environment of requirements; return its Python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-compile"]
    subprocess.run([*command, "--only-binary", ":all:", "-r", requirements], check=True, stderr=subprocess.DEVNULL)
    return python


@contextmanager
def served(command: list[Any], port: int, environment: dict[str, str]) -> Iterator[dict[str, float]]:
    """Start a service and yield its cold start, and the memory of its processes once it has answered."""
    begun = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until_answered(port)
        seconds = time.perf_counter() - begun
        processes = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        memory = sum(one.memory_full_info().pss for one in processes)
        yield {"cold_start_s": round(seconds, 2), "memory_mb": round(memory / 1e6, 1)}
    finally:
        stop(process)


def until_answered(port: int) -> Any:
    """Ask the example of a service until it is answered; return the answer."""
    for _ in range(3000):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as index:
                return ask(f"http://127.0.0.1:{port}", json.load(index)["example"])
        except OSError:
            time.sleep(0.02)
    raise SystemExit("the service does not answer")


def environment(bento: Path) -> dict[str, float]:
    """Install a Bento's environment, start it there, and measure both."""
    with tempfile.TemporaryDirectory() as scratch:
        python = install(bento / "env" / "python" / "requirements.txt", Path(scratch) / "env")
        port = free_port()
        variables = {"PATH": os.environ["PATH"], "BENTOML_HOME": scratch, "SEXTANT_DRAIN_SECONDS": "0"}
        command = [python, "-m", "bentoml", "serve", bento, "--host", "127.0.0.1", "--port", str(port)]
        with served(command, port, variables):  # compiles what it imports
            pass
        with served(command, port, variables) as measured:
            return {"environment_mb": megabytes(Path(scratch) / "env"), **measured}


def image(name: str, backend: str, options: list[str]) -> dict[str, float]:
    """Make the image of a Bento, start it, and measure both."""
    tag, port = f"localhost/{name}-measured", free_port()
    made = [arg for option in options for arg in ("--opt", option)]
    sextant = "from dagster_project.commands.main import main; main()"
    command = [sys.executable, "-c", sextant, "containerize", name, "--backend", backend, "--image-tag", tag, *made]
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seconds = time.perf_counter() - begun
    sizes = [_inspected(backend, of) for of in (tag, BASE)]
    run = [backend, "run", "--rm", "--network", "host", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "all"]
    started = time.perf_counter()
    process = subprocess.Popen(
        [*run, "--env", f"BENTOML_PORT={port}", "--env", "SEXTANT_DRAIN_SECONDS=0", tag],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until_answered(port)
        cold = time.perf_counter() - started
    finally:
        process.terminate()
        process.wait()
        subprocess.run([backend, "rmi", "--force", tag], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return {
        "image_mb": round((sizes[0] - sizes[1]) / 1e6, 1),
        "base_mb": round(sizes[1] / 1e6, 1),
        "image_built_s": round(seconds, 1),
        "image_cold_start_s": round(cold, 2),
    }


def _inspected(backend: str, name: str) -> int:
    done = subprocess.run([backend, "image", "inspect", name], capture_output=True, text=True, check=True)
    return int(json.loads(done.stdout)[0]["Size"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("use_case")
    parser.add_argument("--backend", choices=["docker", "podman"])
    parser.add_argument("--opt", action="append", default=[], help="BentoML's, when the image is made")
    arguments = parser.parse_args()
    found = BentoStore().bundle(arguments.use_case).parents[1]
    figures: dict[str, Any] = {"bento": f"{arguments.use_case}:{found.name}", **environment(found)}
    if arguments.backend and shutil.which(arguments.backend):
        figures |= image(arguments.use_case, arguments.backend, arguments.opt)
    print(json.dumps(figures))
