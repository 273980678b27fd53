"""Checkpoints of a training: one file of plain tensors and numbers, there whole or not at all."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from ml.base.files import open_whole

_log = logging.getLogger(__name__)


class CheckpointFile:
    """The state of the training whose code, data, options and first weights have the hash `identity`."""

    def __init__(self, folder: Path, identity: str) -> None:
        self.path, self.identity = folder / f"{identity}.pt", identity

    def save(self, state: dict[str, Any]) -> None:
        """Replace the earlier state; a kill at any moment leaves one of the two."""
        with open_whole(self.path) as file:
            torch.save({**state, "identity": self.identity}, file)

    def load(self) -> dict[str, Any] | None:
        """Return the state, None if there is none; that of another training, or unreadable, is ignored and logged.

        Only tensors and plain values are read: a file cannot run code.
        """
        if not self.path.exists():
            return None
        try:
            state: dict[str, Any] = torch.load(self.path, map_location="cpu", weights_only=True)
        except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
            _log.warning("The checkpoint %s is ignored, training starts anew: it cannot be read (%s)", self.path, error)
            return None
        if state.get("identity") != self.identity:
            _log.warning(
                "The checkpoint %s is ignored, training starts anew: it is that of %s, of other code, data or options",
                self.path,
                state.get("identity"),
            )
            return None
        return state

    def remove(self) -> None:
        """Remove the state and what killed writers left of it."""
        for path in self._files():
            path.unlink(missing_ok=True)

    def _files(self) -> Iterator[Path]:
        return self.path.parent.glob(f"{self.path.name}*")
