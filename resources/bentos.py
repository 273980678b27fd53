"""Bentos: the packaged service, built aside, started, asked, and only then put in its place."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np

from ml.base.files import scratch_folder, write_whole
from ml.base.processes import PATIENCE_S, end_started, tied
from resources.home import QUIET, home
from resources.images import dockerfile
from resources.runtime import requirements
from resources.settings import Settings

SERVICE = Path(__file__).resolve().parent.parent / "service"
REQUIREMENTS, DOCKERFILE = "requirements.txt", "Dockerfile.template"
_BUILD = """
import json, sys, bentoml
options = json.load(sys.stdin)
print(bentoml.build("service.service:ModelService", **options).tag)
"""


class BentoError(RuntimeError):
    """A Bento could not be built or did not answer as the batch path does."""


class BentoStore(dg.ConfigurableResource):  # type: ignore[type-arg]
    """BentoML's store in $SEXTANT_HOME/bentoml."""

    start_timeout_s: float = 120.0

    def folder(self) -> Path:
        """BENTOML_HOME."""
        return home() / "bentoml"

    def has(self, tag: str) -> bool:
        """Check that a Bento of this tag is in the store."""
        return (self.folder() / "bentos" / tag.replace(":", "/") / "bento.yaml").exists()

    def bundle(self, name: str, version: str | None = None) -> Path:
        """Return the folder with all that the newest Bento of a name, or of a version of its model, answers by.

        Raises BentoError, which says what to materialize, where there is none.
        """
        folder = self.folder() / "bentos" / name
        first = folder / "latest"
        bento = first.read_text().strip() if first.is_file() else ""
        if version is not None and bento.partition("-")[0] != version:
            made = sorted(folder.glob(f"{version}-*"), key=lambda place: place.stat().st_mtime)
            bento = made[-1].name if made else ""
        if not bento or not self.has(f"{name}:{bento}"):
            which = f"version {version} of {name!r}" if version else f"{name!r}"
            raise BentoError(f"{which} has no Bento yet: materialize {name}/bento first, as `sextant demo {name}` does")
        return folder / bento / "src" / "bundle"

    def build(
        self,
        name: str,
        version: str,
        bundle: Mapping[str, bytes],
        labels: Mapping[str, str],
        tolerance: float,
        extras: Collection[str] = (),
    ) -> float:
        """Build a Bento, start it, replay `golden.json` of the bundle and put it in the store.

        It requires what its plan needs, and the `extras` of resources/runtime.py. Returns the largest difference of a
        score. Raises BentoError, and stores nothing, if one exceeds `tolerance`.
        """
        self.folder().mkdir(parents=True, exist_ok=True)
        # BentoML reads no file of a context with a hidden folder in its path, as .sextant is one
        with scratch_folder(self.folder()) as scratch, scratch_folder() as context:
            shutil.copytree(SERVICE, context / "service", ignore=shutil.ignore_patterns("__pycache__"))
            (context / "bundle").mkdir()
            for file, content in bundle.items():
                (context / "bundle" / file).write_bytes(content)
            store = scratch / "home"
            (context / DOCKERFILE).write_text(dockerfile({**labels, "version": version}))
            (context / REQUIREMENTS).write_text(requirements(bundle["plan.json"], extras).text())
            self._build(store, name, version, context, labels)
            golden = json.loads(bundle["golden.json"])
            with self.serve(f"{name}:{version}", store) as url:
                difference = _replay(url, golden["records"], golden["scores"])
            if not difference <= tolerance:
                raise BentoError(
                    f"the Bento {name}:{version} differs from the batch path by {difference:.3g} on "
                    f"{len(golden['scores'])} golden requests; allowed: {tolerance:.3g}"
                )
            target = self.folder() / "bentos" / name / version
            target.parent.mkdir(parents=True, exist_ok=True)
            made = store / "bentos" / name / version
            shutil.copymode(context / "bundle", made)  # BentoML's is its owner's alone, and others may serve it
            os.replace(made, target)
        self.put_first(f"{name}:{version}")
        return difference

    def first(self) -> set[str]:
        """Return the tags of the Bentos that are served when none is named."""
        pointers = (self.folder() / "bentos").glob("*/latest")
        return {f"{file.parent.name}:{file.read_text().strip()}" for file in pointers}

    def put_first(self, tag: str) -> bool:
        """Make a stored Bento the one that is served when none is named; False: it is not in the store."""
        if not self.has(tag):
            return False
        name, _, version = tag.partition(":")
        latest = self.folder() / "bentos" / name / "latest"
        write_whole(latest, version.encode())
        return True

    def _build(self, store: Path, name: str, version: str, context: Path, labels: Mapping[str, str]) -> None:
        store.mkdir()
        options = {
            "name": name,
            "version": version,
            "build_ctx": str(context),
            "labels": dict(labels),
            "include": ["service/**/*.py", "bundle/*"],
            "python": {"requirements_txt": REQUIREMENTS, "lock_packages": False},
            "docker": {"dockerfile_template": DOCKERFILE, "base_image": "python"},  # which the template knows better
        }
        done = subprocess.run(
            tied([sys.executable, "-c", _BUILD]),
            input=json.dumps(options),
            env=_environment(store),
            cwd=context,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise BentoError(f"bentoml could not build {name}:{version}: {done.stderr[-2000:]}")
        packed = store / "bentos" / name / version / "env" / "python" / REQUIREMENTS
        shutil.copyfile(context / REQUIREMENTS, packed)  # BentoML has added itself a second time, without a hash

    @contextmanager
    def serve(self, tag: str, store: Path | None = None) -> Iterator[str]:
        """Start a Bento on a free port of 127.0.0.1 for the block; yield its URL once it is ready."""
        port = free_port()
        command = [sys.executable, "-m", "bentoml", "serve", tag, "--host", "127.0.0.1", "--port", str(port)]
        with tempfile.TemporaryFile() as log, scratch_folder() as scratch:
            process = subprocess.Popen(
                tied(command),
                env={**_environment(store or self.folder()), "TMPDIR": str(scratch)},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C is for the command that asks, and that ends this one
            )
            try:
                url = f"http://127.0.0.1:{port}"
                if not wait_until_ready(url, process, self.start_timeout_s):
                    log.seek(0)
                    raise BentoError(
                        f"the Bento {tag} did not become ready: {log.read()[-2000:].decode(errors='replace')}"
                    )
                yield url
            finally:
                stop(process)


def _environment(store: Path) -> dict[str, str]:
    # What a running service has heard, serves and allows is none of a candidate's business.
    ours = {str(field.alias) for field in Settings.model_fields.values()}
    inherited = {name: os.environ[name] for name in os.environ if name in ours or not name.startswith("SEXTANT_")}
    # Nor are GPUs: a step that starts a Bento holds no lease of one.
    # And nobody else asks it, whose requests would be waited for at its end.
    own = {"BENTOML_HOME": str(store), "CUDA_VISIBLE_DEVICES": "", "SEXTANT_DRAIN_SECONDS": "0"}
    own["SEXTANT_READY_IN_SILENCE"] = "1"  # what it will hear of, nobody tells it here
    return {**inherited, **QUIET, **own}


def free_port() -> int:
    """Return a port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_ready(url: str, process: "subprocess.Popen[bytes]", timeout_s: float) -> bool:
    """Wait until a served Bento is ready; False: its process ended first, or the time is over."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=2) as answer:
                if answer.status == 200:
                    return True
        except urllib.error.HTTPError as error:
            if error.code == 503:
                return False  # nothing answers while the model loads, so this is its last word
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    return False


def stop(process: "subprocess.Popen[bytes]") -> None:
    """End a tied process and whatever it started, asking first."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    end_started(process.pid)


def ask(url: str, body: Any) -> Any:
    """Return the JSON answer of POST /predict."""
    request = urllib.request.Request(
        f"{url}/predict", json.dumps(body).encode(), {"content-type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def _replay(url: str, records: list[dict[str, Any]], scores: list[float] | list[list[float]]) -> float:
    """Return the largest difference between a service's answers, record by record and as a batch, and the scores."""
    try:
        alone, batch = [ask(url, record) for record in records], ask(url, {"records": records})
    except urllib.error.HTTPError as error:
        raise BentoError(f"a golden request was answered with {error.code}: {error.read()[:2000]!r}") from error
    singly = [list(one["probabilities"].values()) if "probabilities" in one else one["score"] for one in alone]
    together = batch["scores"] if "scores" in batch else [list(row.values()) for row in batch["probabilities"]]
    expected = np.array(scores)
    if {np.shape(singly), np.shape(together)} != {expected.shape}:
        raise BentoError(f"the answers to {len(records)} golden requests have not the shape {expected.shape}")
    return max(float(np.max(np.abs(np.array(answers) - expected))) for answers in (singly, together))
