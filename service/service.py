"""The BentoML service: starts the application over the bundle beside this package."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import bentoml

from service.history.log import log_folder
from service.http.app import Application
from service.http.served import Served

# Neither BentoML nor ONNX Runtime, which is imported on start-up, reports to its maker.
QUIET = {"BENTOML_DO_NOT_TRACK": "True", "ORT_DISABLE_TELEMETRY": "1"}

served = Served()


def bundle_folder() -> Path:
    """Return the folder of the bundle: $SEXTANT_BUNDLE, or `bundle/` beside this package."""
    return Path(os.environ.get("SEXTANT_BUNDLE") or Path(__file__).resolve().parents[1] / "bundle")


@bentoml.asgi_app(Application(served))
@bentoml.service(
    traffic={"timeout": 5},  # its timers are never cancelled: at the default 60 s they pile up in memory
    tracing={"excluded_urls": ".*"},  # five spans per request otherwise, half a millisecond, even at sample rate 0
    logging={"access": {"enabled": False}},  # 0.3 ms per request
    metrics={"enabled": True},
    envs=[{"name": name, "value": value} for name, value in QUIET.items()],
)
class ModelService:
    """Scores business records with one production model."""

    @bentoml.on_startup  # type: ignore[untyped-decorator]
    def load(self) -> None:
        """Load the bundle, then spare the garbage collector from walking it at every collection."""
        served.start(bundle_folder(), log_folder())
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)

    async def __is_ready__(self) -> bool:
        """Answer BentoML's own /readyz, which comes before the application's."""
        return served.not_ready is None
