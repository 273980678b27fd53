"""Libraries that only some kinds of sources need, and the extra that brings each."""

from importlib import import_module
from typing import Any

from ml.base.sql import DataError


def required(module: str, extra: str, what: str) -> Any:
    """Return a module. Raises DataError, which names the extra that brings it, where it is not installed."""
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise DataError(
            f"{what} needs the package {package}, which is not installed: pip install 'sextant[{extra}]'"
        ) from error
