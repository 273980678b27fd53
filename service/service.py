"""The BentoML service: starts the application over the bundle beside this package."""

from __future__ import annotations

import atexit
import gc
import logging
import os
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

import bentoml
import msgspec

from service.history.places import PAST_FOLDER, events_place
from service.http.app import Application, describe, endpoints
from service.http.connections import Watch, know_connections
from service.http.drain import drain_on_sigterm
from service.http.follower import follow
from service.http.limits import Limits, read_workers
from service.http.served import Served
from service.http.settings import BUNDLE
from service.predict.predictor import load_predictor
from service.rpc.server import serve_beside

# Neither BentoML nor ONNX Runtime, which is imported on start-up, reports to its maker.
QUIET = {"BENTOML_DO_NOT_TRACK": "True", "ORT_DISABLE_TELEMETRY": "1"}
METRICS_FOLDER = "_SEXTANT_METRICS_FOLDER"  # set for the workers of a service by the process that starts them

served = Served()


def bundle_folder() -> Path:
    """Return the folder of the bundle: $SEXTANT_BUNDLE, or `bundle/` beside this package."""
    return Path(os.environ.get(BUNDLE) or Path(__file__).resolve().parents[1] / "bundle")


class Lean(bentoml.Service):  # type: ignore[misc]
    """A service whose application answers requests itself; BentoML starts it, and does not stand before it.

    BentoML's own layers (a span of tracing, metrics by raw path, an access log, a timer that goes on after its 504)
    would take most of a request's time.
    """

    @property
    def openapi_spec(self) -> Any:
        """Return the document that a Bento carries: that of the bundle, where there is one, and by default limits."""
        if not (bundle_folder() / "plan.json").is_file():
            return super().openapi_spec
        described = describe(load_predictor(bundle_folder()), Limits(), endpoints(Served()))
        return msgspec.json.decode(msgspec.json.encode(described))  # of what is there twice, a copy: YAML would refer

    def to_asgi(self, is_main: bool = True) -> Application:
        """Return the application that a worker serves; uvicorn writes no access log, to nobody."""
        logging.getLogger("uvicorn.access").propagate = False
        os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)  # BentoML's, which prometheus_client would write to
        if folder := os.environ.get(METRICS_FOLDER):
            served.metrics_folder = Path(folder)
        know_connections()
        return Application(served, super().to_asgi(is_main))


@bentoml.service(
    service_class=Lean,
    workers=read_workers(os.environ),
    metrics={"enabled": False},
    envs=[{"name": name, "value": value} for name, value in QUIET.items()],
)
class ModelService:
    """Scores business records with one production model."""

    @bentoml.on_deployment  # type: ignore[untyped-decorator]
    def make_folders() -> None:
        """Make folders where the workers of this service, and no other's, put figures and events, before they start."""
        for variable, name in ((METRICS_FOLDER, "metrics"), (PAST_FOLDER, "past")):
            os.environ[variable] = folder = mkdtemp(prefix=f"sextant-{name}-")
            atexit.register(rmtree, folder, ignore_errors=True)

    @bentoml.on_startup  # type: ignore[untyped-decorator]
    async def load(self) -> None:
        """Load the bundle, then spare the garbage collector from walking it at every collection."""
        served.start(bundle_folder(), events_place())
        follow(served, bundle_folder(), events_place())
        drain_on_sigterm(served)
        Watch().begin(served.limits)
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        await serve_beside(served, os.environ)

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    async def close(self) -> None:
        """Finish what is in work beside HTTP, then write what the logs of predictions and of requests have gathered."""
        for close in served.closers:
            await close()
        served.close()
