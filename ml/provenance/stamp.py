"""Coordinates inside of files: reports, plots, models and tables that say by themselves where they came from."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from ml.base.hashing import hash_bytes, hash_json

KEY = "sextant.coordinates"
_IN_HTML = re.compile(r'<script type="application/json" id="sextant">(\{.*?\})</script>')


@dataclass(frozen=True)
class Stamp:
    """The id that a file carries, and whether the file is what was stamped (None where it cannot be told)."""

    coordinates: str
    intact: bool | None


def stamp_html(page: str, coordinates: str) -> str:
    """The page with its coordinates and its own hash before `</html>`."""
    unsigned = page.replace("</html>", _script(coordinates, "") + "</html>")
    return page.replace("</html>", _script(coordinates, hash_bytes(unsigned.encode())) + "</html>")


def _script(coordinates: str, own_hash: str) -> str:
    content = json.dumps({KEY: coordinates, "sha256": own_hash})
    return f'<script type="application/json" id="sextant">{content}</script>\n'


def stamp_json(content: dict[str, object], coordinates: str) -> dict[str, object]:
    """The content with its coordinates and its own hash."""
    signed = {**content, KEY: coordinates}
    return {**signed, "sha256": hash_json(signed)}


def read_stamp(file: Path) -> Stamp | None:
    """The stamp of a .html, .json, .png, .onnx or .parquet file; None if it has none."""
    readers = {".html": _html, ".json": _json, ".png": _png, ".onnx": _onnx, ".bin": _onnx, ".parquet": _parquet}
    reader = readers.get(file.suffix)
    return reader(file) if reader else None


def _html(file: Path) -> Stamp | None:
    page = file.read_text(errors="replace")
    match = _IN_HTML.search(page)
    if match is None:
        return None
    stamp = json.loads(match[1])
    unsigned = page.replace(match[0] + "\n", _script(stamp[KEY], ""))
    return Stamp(stamp[KEY], hash_bytes(unsigned.encode()) == stamp["sha256"])


def _json(file: Path) -> Stamp | None:
    try:
        content = json.loads(file.read_bytes())
    except ValueError:
        return None
    if not isinstance(content, dict) or KEY not in content:
        return None
    own_hash = content.pop("sha256", None)
    return Stamp(str(content[KEY]), hash_json(content) == own_hash)


def _png(file: Path) -> Stamp | None:
    from PIL import Image

    with Image.open(file) as image:
        identity = image.info.get(KEY)
    return Stamp(str(identity), None) if identity else None


def _onnx(file: Path) -> Stamp | None:
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_from_string(file.read_bytes())
    except DecodeError:
        return None
    summary = {entry.key: entry.value for entry in model.metadata_props}.get(KEY)
    return Stamp(str(json.loads(summary)["id"]), None) if summary else None


def _parquet(file: Path) -> Stamp | None:
    import pyarrow.parquet as pq

    opened = pq.ParquetFile(file)
    if identity := (opened.schema_arrow.metadata or {}).get(KEY.encode()):
        return Stamp(identity.decode(), None)
    if "coordinates" not in opened.schema_arrow.names or not opened.metadata.num_rows:
        return None
    ids = set(opened.read(["coordinates"])["coordinates"].unique().to_pylist())
    return Stamp(str(ids.pop()), None) if len(ids) == 1 else None
