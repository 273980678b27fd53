from __future__ import annotations

import hmac
import os
from pathlib import Path
from typing import Any

import pytest

from service.http import keys as module
from service.http.keys import Keys, read_keys
from service.http.limits import SettingError


def bearer(key: str, scheme: str = "Bearer") -> list[tuple[bytes, bytes]]:
    return [(b"authorization", f"{scheme} {key}".encode())]


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ([], False),
        (bearer("first"), True),
        (bearer("second"), True),
        (bearer("first", "bearer"), True),
        (bearer("first", "Bearer "), True),
        (bearer("first", "Basic"), False),
        (bearer(""), False),
        (bearer("firs"), False),
        (bearer("first "), True),
        (bearer("first,second"), False),
        (bearer("FIRST"), False),
        ([(b"authorization", b"first")], False),
        ([(b"authorization", b"Bearer")], False),
        ([(b"authorization", b"Bearer \xff\x00")], False),
        ([(b"x-api-key", b"first")], True),
        ([(b"x-api-key", b"third")], False),
        ([(b"x-api-key", b"third"), *bearer("second")], True),
        ([(b"x-other", b"first")], False),
    ],
)
def test_any_of_the_keys_is_taken_in_either_header(headers: list[tuple[bytes, bytes]], allowed: bool) -> None:
    keys = read_keys({"SEXTANT_API_KEYS": "first, second"})

    assert keys is not None
    assert keys.allow(headers) is allowed


def test_every_key_is_compared_whichever_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    compare = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append((a, b)) or compare(a, b))

    counts = []
    for key in ("first", "second", "third", "none"):
        assert Keys(["first", "second", "third"]).allow(bearer(key)) is (key != "none")
        counts.append(len(compared))
        compared.clear()

    assert counts == [3, 3, 3, 3]


def test_without_a_setting_there_are_no_keys() -> None:
    assert read_keys({}) is read_keys({"SEXTANT_API_KEYS": "", "SEXTANT_API_KEYS_FILE": ""}) is None


@pytest.mark.parametrize("value", [" ", ",", " , ,"])
def test_a_setting_without_a_key_is_refused(value: str) -> None:
    with pytest.raises(SettingError, match="SEXTANT_API_KEYS holds no key"):
        read_keys({"SEXTANT_API_KEYS": value})


@pytest.mark.parametrize(("content", "reason"), [(None, "cannot be read"), ("# none yet\n\n", "holds no key")])
def test_a_file_without_a_key_is_refused(tmp_path: Path, content: str | None, reason: str) -> None:
    file = tmp_path / "keys"
    if content is not None:
        file.write_text(content)

    with pytest.raises(SettingError, match=rf"SEXTANT_API_KEYS_FILE(.|\n)*{reason}"):
        read_keys({"SEXTANT_API_KEYS_FILE": str(file)})


def replaced(file: Path, content: str) -> None:
    """Write a file as a secret that is mounted is written: another one takes its place."""
    other = file.with_suffix(".new")
    other.write_text(content)
    os.replace(other, file)


def test_a_file_that_changes_is_read_again_and_keys_rotate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_AFTER_S", 0.0)
    file = tmp_path / "keys"
    file.write_text("# of January\nold\n")
    keys = read_keys({"SEXTANT_API_KEYS_FILE": str(file), "SEXTANT_API_KEYS": "fixed"})
    assert keys is not None

    def allowed() -> list[str]:
        return [key for key in ("old", "new", "fixed") if keys.allow(bearer(key))]

    stages = [allowed()]
    for content in ("old\n new \r\n", "new"):
        replaced(file, content)
        stages.append(allowed())

    assert stages == [["old", "fixed"], ["old", "new", "fixed"], ["new", "fixed"]]


@pytest.mark.parametrize("spoil", [Path.unlink, lambda file: replaced(file, ""), lambda file: replaced(file, "# all")])
def test_a_file_that_cannot_be_used_any_more_leaves_its_keys_and_logs_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, spoil: Any
) -> None:
    monkeypatch.setattr(module, "LOOK_AFTER_S", 0.0)
    file = tmp_path / "keys"
    file.write_text("the-secret-one")
    keys = read_keys({"SEXTANT_API_KEYS_FILE": str(file)})
    assert keys is not None

    spoil(file)

    assert keys.allow(bearer("the-secret-one"))
    assert not keys.allow(bearer("another"))
    assert "the keys that it had before stay" in caplog.text
    assert "the-secret-one" not in caplog.text


def test_a_file_is_looked_at_once_a_second_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "keys"
    file.write_text("key")
    keys = read_keys({"SEXTANT_API_KEYS_FILE": str(file)})
    assert keys is not None
    looks: list[Path] = []
    monkeypatch.setattr(module, "_stamp", looks.append)
    monkeypatch.setattr(module, "_read", lambda file: set())

    for _ in range(100):
        keys.allow([])

    assert len(looks) == 1


def test_a_file_that_an_editor_of_windows_has_written_holds_the_same_keys(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    for content in ("\ufeff# of January\r\n\r\n first\r\nsecond", "\ufefffirst\r\nsecond\r\n"):
        file.write_bytes(content.encode())
        keys = read_keys({"SEXTANT_API_KEYS_FILE": str(file)})

        assert keys is not None
        assert [key for key in ("first", "second", "# of January") if keys.allow(bearer(key))] == ["first", "second"]


def test_a_file_in_utf_16_is_refused_as_no_header_has_its_keys(tmp_path: Path) -> None:
    (tmp_path / "keys").write_bytes("first".encode("utf-16"))

    with pytest.raises(SettingError, match="is not a text in UTF-8"):
        read_keys({"SEXTANT_API_KEYS_FILE": str(tmp_path / "keys")})
