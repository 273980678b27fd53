"""The look of every page: its frame and style, and how numbers are written."""

from __future__ import annotations

from functools import cache, partial
from importlib.resources import files
from math import isnan
from typing import TYPE_CHECKING

from ml.base.text import percent, shortened
from ml.tasks.labels import at_threshold

if TYPE_CHECKING:
    from jinja2 import Template


@cache
def template(name: str) -> Template:
    """Return a page's template by its name; it fills the blocks of `look.html`."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    def source(file: str) -> str:
        return files("ml.report").joinpath(file).read_text()

    environment = Environment(
        loader=FunctionLoader(source), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"figure": figure, "percent": percent, "count": "{:,}".format, "share": "{:.1%}".format}
    environment.filters |= {"brief": partial(shortened, most=28, omit="middle"), "at_threshold": at_threshold}
    return environment.get_template(f"{name}.html")


def figure(value: float) -> str:
    """Write a number with as many decimals as its size calls for."""
    if isnan(value):
        return "-"
    decimals = 4 if abs(value) < 10 else 2 if abs(value) < 1e4 else 0
    return f"{value:,.{decimals}f}"
