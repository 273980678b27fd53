"""Settings of the prediction log: where it lies, what of it is hidden, and how much of it may wait."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

Count = Annotated[int, Meta(ge=1)]

NAMES = {
    "url": "SEXTANT_PREDICTIONS",
    "hashed": "SEXTANT_PREDICTIONS_HASH",
    "salt": "SEXTANT_PREDICTIONS_SALT",
    "left_out": "SEXTANT_PREDICTIONS_WITHOUT",
    "share": "SEXTANT_PREDICTIONS_SHARE",
    "features": "SEXTANT_PREDICTIONS_FEATURES",
    "rows": "SEXTANT_PREDICTIONS_ROWS",
    "seconds": "SEXTANT_PREDICTIONS_SECONDS",
    "most_bytes": "SEXTANT_PREDICTIONS_BYTES",
}
SCHEMES = ("", "file", "s3", "gs", "gcs", "abfs", "abfss")  # that pyarrow opens by itself


class PredictionSettingError(ValueError):
    """A setting of the prediction log that cannot be used; the message names it."""


class PredictionSettings(msgspec.Struct, frozen=True, rename=NAMES):
    """A prediction log at a `url`, of a `share` of the predictions, with their `features` or not.

    Values of the columns in `hashed` are logged as hashes keyed by `salt`, those in `left_out` are not. A file has
    at most so many `rows`, and is written at the latest after so many `seconds`; `most_bytes` of predictions may wait.
    """

    url: str
    hashed: tuple[str, ...] = ()
    salt: str = ""
    left_out: tuple[str, ...] = ()
    share: Annotated[float, Meta(gt=0, le=1)] = 1.0
    features: bool = False
    rows: Count = 100_000
    seconds: Annotated[float, Meta(gt=0, le=86_400)] = 60.0
    most_bytes: Count = 100_000_000

    @property
    def hidden(self) -> frozenset[str]:
        """The columns whose values are nowhere in the log."""
        return frozenset([*self.hashed, *self.left_out])


def read_settings(environment: Mapping[str, str]) -> PredictionSettings | None:
    """Return the prediction log that the environment asks for; None: it asks for none.

    Raises PredictionSettingError, which names the setting, for what cannot be used.
    """
    values: dict[str, Any] = {name: environment[name] for name in NAMES.values() if environment.get(name)}
    if NAMES["url"] not in values:
        return None
    for name in ("hashed", "left_out"):
        if NAMES[name] in values:
            values[NAMES[name]] = [column.strip() for column in values[NAMES[name]].split(",") if column.strip()]
    try:
        settings = msgspec.convert(values, PredictionSettings, strict=False)
    except msgspec.ValidationError as error:
        shown = {name: value for name, value in values.items() if name not in (NAMES["salt"], NAMES["url"])}
        raise PredictionSettingError(f"a setting cannot be used: {error}; given: {shown}") from None
    if settings.hashed and not settings.salt:
        raise PredictionSettingError(
            f"{NAMES['hashed']} needs {NAMES['salt']}: without a secret, hashes can be guessed"
        )
    scheme = urlsplit(settings.url).scheme
    if scheme not in SCHEMES:
        allowed = ", ".join(f"{known}://" for known in SCHEMES if known)
        raise PredictionSettingError(
            f"{NAMES['url']} is a folder or a URL that begins with {allowed}; given: {scheme}://"
        )
    return settings


def check_columns(settings: PredictionSettings, columns: Collection[str]) -> None:
    """Raise PredictionSettingError for a hidden column that a model has not: a slip would show what is to be hidden."""
    if unknown := sorted(settings.hidden - set(columns)):
        names = f"{NAMES['hashed']} and {NAMES['left_out']}"
        raise PredictionSettingError(f"{names} name columns of the model; it has no {unknown}, only {sorted(columns)}")
