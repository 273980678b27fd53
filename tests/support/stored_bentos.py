"""StoredBentos of a toy use case in a store of BentoML's: bundles whose answers tell their version."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from resources.bentos import SERVICE


class StoredBentos:
    """The StoredBentos of flight_delays in a store, each of which weighs distance otherwise."""

    def __init__(
        self,
        home: Path,
        write_bundle: Callable[..., Path],
        weights: list[float],
        score_by: Callable[..., float],
    ) -> None:
        self.folder = home / "bentos" / "flight_delays"
        self._write_bundle, self._weights, self._score_by = write_bundle, weights, score_by

    def add(self, version: str, number: int, **changes: Any) -> Path:
        """Store a Bento with version `number` of the model, and return its folder."""
        bundle = self._write_bundle(weights=self._by(number), **{"golden_score": self.score(number), **changes})
        coordinates = {"id": f"c{number}", "model_version": str(number), "data": {}}
        (bundle / "coordinates.json").write_text(json.dumps(coordinates))
        folder = self.folder / version
        shutil.copytree(bundle, folder / "src" / "bundle")
        shutil.copytree(SERVICE, folder / "src" / "service", ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "bento.yaml").write_text(f"service: x\nname: flight_delays\nversion: {version}\nenvs:\n- name: X\n")
        return folder

    def score(self, number: int, events: int = 0) -> float:
        """Return what version `number` answers to the golden record after some more flights of its last day."""
        return self._score_by(self._by(number), events)

    def _by(self, number: int) -> list[float]:
        return [self._weights[0] - 0.0005 * number, *self._weights[1:]]

    def promote(self, version: str) -> None:
        """Let `latest` name a Bento, as the store does it: by a file that takes the place of the other."""
        new = self.folder / "new"
        new.write_text(version, errors="surrogateescape")
        new.replace(self.folder / "latest")

    def bundle(self, version: str) -> Path:
        """Return the folder of a Bento's bundle."""
        return self.folder / version / "src" / "bundle"
