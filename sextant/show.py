"""Pieces of HTML and Markdown by which objects show themselves in a notebook."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

_CELL = "text-align:left;padding:.15em .9em .15em 0;vertical-align:top"
_FAINT = "color:#888"
BLUE, RED = "#3b75af", "#c44e52"


def card(title: str, lines: Mapping[str, object], note: str = "") -> str:
    """Return a heading, a line for each thing that is said, and a faint note, as HTML."""
    rows = "".join(
        f'<tr><td style="{_CELL};{_FAINT}">{escape(name)}</td><td style="{_CELL}">{escape(str(value))}</td></tr>'
        for name, value in lines.items()
    )
    below = f'<div style="{_FAINT};font-size:90%">{escape(note)}</div>' if note else ""
    return f"<div><b>{escape(title)}</b><table>{rows}</table>{below}</div>"


def markdown_card(title: str, lines: Mapping[str, object], note: str = "") -> str:
    """Return the same as Markdown."""
    rows = "\n".join(f"| {_cell(name)} | {_cell(value)} |" for name, value in lines.items())
    below = f"\n\n*{_cell(note)}*" if note else ""
    return f"**{_cell(title)}**\n\n| | |\n|---|---|\n{rows}{below}"


def text_card(title: str, lines: Mapping[str, object], note: str = "") -> str:
    """Return the same as plain text."""
    width = max(map(len, lines), default=0)
    rows = [f"  {name:<{width}}  {value}" for name, value in lines.items()]
    return "\n".join([title, *rows, *([f"  {note}"] if note else [])])


def bars(rows: Iterable[tuple[str, str, float]], most: float) -> str:
    """Return names, values and signed bars, the longest of which stands for `most`, as the rows of an HTML table."""
    return "".join(
        f'<tr><td style="{_CELL}">{escape(name)}</td><td style="{_CELL};{_FAINT}">{escape(value)}</td>'
        f'<td style="{_CELL}"><div style="display:inline-block;height:.8em;background:{BLUE if size > 0 else RED};'
        f'width:{100 * abs(size) / most if most else 0:.1f}px"></div> {size:+.4g}</td></tr>'
        for name, value, size in rows
    )


def sections(parts: Sequence[str]) -> str:
    """Return pieces of HTML beside each other, as many as there is room for."""
    return '<div style="display:flex;flex-wrap:wrap;gap:2em">' + "".join(parts) + "</div>"


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
