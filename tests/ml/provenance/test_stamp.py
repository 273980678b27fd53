from pathlib import Path

from ml.provenance.stamp import read_stamp


def test_a_file_without_a_stamp_has_none(tmp_path: Path) -> None:
    for name, text in {"a.html": "<html></html>", "a.json": "[1]", "b.json": "{", "c.json": "{}", "d.txt": "x"}.items():
        (tmp_path / name).write_text(text)

        assert read_stamp(tmp_path / name) is None
