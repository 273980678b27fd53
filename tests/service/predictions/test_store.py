"""Where the prediction log lies."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.predictions.store import Store


@pytest.mark.parametrize("form", ["{}", "{}/", "file://{}"])
def test_a_file_appears_whole_in_its_folder(tmp_path: Path, form: str) -> None:
    Store(form.format(tmp_path / "a b")).put("delays/date=2026-01-01/x.parquet", b"content")

    assert [path.name for path in (tmp_path / "a b").rglob("*.*")] == ["x.parquet"]
    assert (tmp_path / "a b" / "delays" / "date=2026-01-01" / "x.parquet").read_bytes() == b"content"


def test_a_percent_sign_of_a_url_is_read(tmp_path: Path) -> None:
    Store(f"file://{tmp_path}/a%20b").put("x", b"")

    assert (tmp_path / "a b" / "x").is_file()


def test_a_folder_that_cannot_be_made_is_an_error_to_try_again(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(OSError, match="file"):
        Store(str(tmp_path / "file")).put("x/y", b"")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("s3://key:secret@bucket/logs?endpoint_override=x&token=secret", "s3://bucket/logs"),
        ("s3://bucket/logs", "s3://bucket/logs"),
        ("/folder/a@b?c", "/folder/a@b?c"),
    ],
)
def test_a_store_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert str(Store(url)) == shown


def test_an_object_store_takes_a_file(s3: str) -> None:
    store = Store(f"{s3}/logs")

    store.put("a/b.parquet", b"content")

    filesystem, base = store.open()
    with filesystem.open_input_stream(f"{base}/a/b.parquet") as stream:
        assert stream.read() == b"content"
