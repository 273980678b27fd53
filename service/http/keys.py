"""API keys: who may ask, by a secret in a header; several at a time, so that one may take the place of another."""

from __future__ import annotations

import hmac
import logging
import os
import time
from codecs import BOM_UTF8
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path

from service.http.limits import SettingError

logger = logging.getLogger("bentoml.sextant")

KEYS, FILE = "SEXTANT_API_KEYS", "SEXTANT_API_KEYS_FILE"
LOOK_AFTER_S = 1.0

Headers = Iterable[tuple[bytes, bytes]]


class Keys:
    """The keys of settings, as hashes: those of a list, and those of a file, which is read again when it changes."""

    def __init__(self, listed: Iterable[str], file: Path | None = None) -> None:
        self._listed, self._file = set(map(_digest, map(os.fsencode, listed))), file
        self._of_file: set[bytes] = set()
        self._seen: object = None
        self._look_at = 0.0
        if file is not None:
            self._seen, self._of_file = _stamp(file), _read(file)

    def allow(self, headers: Headers) -> bool:
        """Check that a request has one of the keys, as a Bearer token or as `x-api-key`.

        All are compared with all, so that the time tells nothing of them.
        """
        self._look()
        allowed = self._listed | self._of_file
        sent = [_digest(key) for key in _sent(headers)]
        return sum(hmac.compare_digest(digest, right) for digest in sent for right in allowed) > 0

    def _look(self) -> None:
        """Read the file again if it has changed; one that cannot be used leaves the keys of before, and is logged."""
        if self._file is None or time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + LOOK_AFTER_S
        stamp = _stamp(self._file)
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            self._of_file = _read(self._file)
            logger.info("%s has changed: %d keys", self._file, len(self._of_file))
        except SettingError as error:
            logger.error("%s; the keys that it had before stay", error)


def read_keys(environment: Mapping[str, str]) -> Keys | None:
    """Return the keys that the environment sets; None: nobody needs one. Raises SettingError, which shows no key."""
    listed, file = environment.get(KEYS), environment.get(FILE)
    if not listed and not file:
        return None
    keys = (listed or "").replace(",", " ").split()
    if listed and not keys:
        raise SettingError(f"{KEYS} holds no key; it takes several, with commas between them")
    return Keys(keys, Path(file) if file else None)


def _read(file: Path) -> set[bytes]:
    """Return the hashes of the keys of a file, one a line; lines that begin with # are remarks."""
    try:
        content = file.read_bytes().removeprefix(BOM_UTF8)
    except OSError as error:
        raise SettingError(f"{FILE} cannot be read: {error}") from None
    if b"\0" in content:  # as in UTF-16, whose keys no header shows
        raise SettingError(f"{FILE}, {file}, is not a text in UTF-8; it takes keys, one a line")
    lines = [line.strip() for line in content.splitlines()]
    keys = [line for line in lines if line and not line.startswith(b"#")]
    if not keys:
        raise SettingError(f"{FILE}, {file}, holds no key; it takes one a line")
    return set(map(_digest, keys))


def _stamp(file: Path) -> object:
    """Return what changes with a file, be it written anew, replaced, or led to by another link."""
    try:
        status = os.stat(file)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size


def _sent(headers: Headers) -> list[bytes]:
    keys = []
    for name, value in headers:
        if name == b"x-api-key":
            keys.append(value.strip())
        elif name == b"authorization":
            scheme, _, token = value.strip().partition(b" ")
            keys += [token.strip()] if scheme.lower() == b"bearer" else []
    return keys


def _digest(key: bytes) -> bytes:
    return sha256(key).digest()
