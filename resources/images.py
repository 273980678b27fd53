"""The image of a Bento: the template that `bentoml containerize` makes it by, with the labels of its coordinates."""

import json
from collections.abc import Mapping
from pathlib import Path

TEMPLATE = Path(__file__).with_suffix(".dockerfile")
_OCI = {"use_case": "title", "version": "version", "commit": "revision"}


def dockerfile(labels: Mapping[str, str]) -> str:
    """Return the template with the labels of a Bento as those of OCI, where there are such, and as `sextant.…`."""
    named = {f"org.opencontainers.image.{_OCI[name]}": labels[name] for name in _OCI if labels.get(name)}
    named |= {f"sextant.{name}": value for name, value in labels.items()}
    pairs = [f"{name}={_quoted(value)}" for name, value in named.items()]
    return TEMPLATE.read_text().replace("@labels@", " \\\n      ".join(pairs))


def _quoted(value: str) -> str:
    return json.dumps(value).replace("$", "\\$")
