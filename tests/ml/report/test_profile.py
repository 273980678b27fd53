"""The page of a profile, its pictures and its table: complete in themselves, escaped, bounded, readable."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml.profile.profile import make_profile
from ml.profile.record import Profile
from ml.provenance.stamp import read_stamp
from ml.report.charts import cells, in_time
from ml.report.plots.profiles import pictures
from ml.report.profile import FIRST, IN_SHORT, MOST, html, in_short
from ml.report.sparks import HEIGHT, WIDTH, scale_of, spark
from ml.tasks.task import Kind
from tests.ml.profile.test_profile import FRAME, ODD, TARGETS
from tests.support.profiled import examples_of, profile_of, spec_of, table_of

COORDINATES: dict[str, Any] = {"id": "0123456789abcdef", "data": {"raw_rows": "f" * 64}, "seed": 0}
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def page(profile: Profile) -> str:
    return html("zoo", "Which <one>?", profile, COORDINATES)


def timed() -> Profile:
    cutoff = pd.Series(pd.date_range("2020-01-01", periods=len(FRAME), freq="D", unit="us"))
    return make_profile(spec_of(), {"rows": table_of(FRAME)}, examples_of(FRAME, TARGETS["binary"], cutoff))


@pytest.mark.parametrize("kind", list(TARGETS))
def test_a_page_is_complete_in_itself_with_every_section(kind: Kind) -> None:
    content = page(profile_of(FRAME, TARGETS[kind], kind))

    sections = ["findings", "examples", "columns", "associations", "method", "coordinates"]
    assert re.findall(r'<h2 id="(\w+)"', content) == sections
    assert re.findall(r'href="#(\w+)"', content) == sections
    assert re.findall(r'(?:src|href)="([^#"]+)', content) == []
    assert "Which &lt;one&gt;?" in content
    assert ">nan" not in content.lower()


@pytest.mark.parametrize("kind", list(TARGETS))
def test_names_texts_and_findings_are_escaped(kind: Kind) -> None:
    frame = pd.DataFrame({f"{name}<i>": values for name, values in ODD.items()} | {"id": FRAME["id"]})
    profile = profile_of(frame, TARGETS[kind], kind)

    content = page(profile)

    assert "<i>" not in content
    assert "<script>alert" not in content
    assert content.count("</html>") == 1
    assert len(content) < 300_000
    assert content == page(profile)


def test_the_page_carries_its_coordinates_and_is_intact(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(page(timed()))

    stamp = read_stamp(tmp_path / "page.html")

    assert stamp is not None
    assert (stamp.coordinates, stamp.intact) == (COORDINATES["id"], True)


@pytest.mark.usefixtures("drawn")
def test_pictures_are_the_same_each_time() -> None:
    profile = timed()

    first, again = (pictures(profile, "0" * 16) for _ in range(2))

    assert first == again
    titles = {"examples in time", "what each column alone tells of the target", "what columns tell of each other"}
    assert set(first) == titles


def test_examples_in_time_are_drawn_within_their_frame_with_as_many_rows_as_there_are() -> None:
    coverage = timed().coverage
    assert coverage is not None

    drawn = in_time(coverage)

    assert len(drawn.points) == sum(mean is not None for mean in coverage.target)
    assert all(0 <= span.y <= span.y + span.height <= 230 and 0 <= span.x <= 900 for span in drawn.spans)
    assert all(0 <= y <= 230 for _, y in drawn.points)
    heights = {split: sum(span.height for span in drawn.spans if span.split == split) for split in coverage.rows}
    assert heights["train"] / heights["test"] == pytest.approx(3, rel=0.02)


def test_an_association_has_its_colour_value_and_words() -> None:
    frame = pd.DataFrame({"a": FRAME["x"], "b": -FRAME["x"], "c": FRAME["noise"]})
    profile = profile_of(frame, TARGETS["binary"])

    squares = dict(zip(profile.heatmap, cells(profile), strict=True))
    of_a = dict(zip(profile.heatmap, squares["a"], strict=True))

    assert (of_a["b"].value, of_a["b"].colour, of_a["b"].dark) == ("-1.00", "#1f5fa8", True)
    assert of_a["a"].text == of_a["a"].value == of_a["c"].value == ""
    assert of_a["b"].text == "a, b: -1.000"


def test_of_many_columns_the_first_stand_open_others_unfold_and_the_rest_is_counted() -> None:
    wide = pd.DataFrame({f"x{place}": np.arange(60) % (place % 7 + 2) for place in range(MOST + 7)})

    profile = profile_of(wide, np.arange(60) % 2)

    content = page(profile)
    assert f"{MOST - FIRST} further columns" in content
    assert "7 more are in profile.json" in content
    assert content.count('<td class="spark">') == MOST
    assert f"and {MOST + 7 - IN_SHORT:,} more, on the page" in in_short(profile)


def test_flags_and_texts_in_parentheses_have_their_shares_and_no_span_of_time_an_article() -> None:
    values = np.array(["(none)", "(missing)", None, "a"])[np.arange(len(FRAME)) % 4]
    frame = pd.DataFrame({"text": values, "yes": np.arange(len(FRAME)) % 4 == 0})

    content = page(profile_of(frame, TARGETS["binary"]))

    assert "(missing) 25%, (none) 25%, a 25%" in content
    assert "false 75%, true 25%" in content
    assert content.count('class="gone" x=') == 1
    assert re.search("rows of train per (day|week|month)", page(timed()))


def test_of_many_classes_there_is_a_row_each_the_frequent_ones_first() -> None:
    classes = [f"k{place // 5 % 20 if place % 3 else 7}" for place in range(len(FRAME))]

    content = page(profile_of(FRAME, classes, "multiclass"))

    rows = re.findall("<tr><td>(k[0-9]+)<td", content)
    assert rows[0] == "k7"
    assert sorted(rows) == sorted(set(classes))
    assert "<summary>20 classes" in content


def test_the_table_in_the_ui_has_a_line_for_each_column_and_no_markup_of_the_data() -> None:
    frame = FRAME.rename(columns={"x": "x`|<b>"})

    lines = in_short(profile_of(frame, TARGETS["binary"])).splitlines()

    assert len(lines) == 2 + len(FRAME.columns) - 1
    assert lines[2].startswith(r"| `x'\|<b>`")
    assert "[0." in lines[2]


def test_a_distribution_is_drawn_within_its_frame() -> None:
    profile = profile_of(pd.DataFrame(ODD), TARGETS["binary"])
    scale = scale_of(profile)

    for column in profile.columns:
        drawn = spark(column, profile.rows["train"], scale)
        assert len(drawn.boxes) == len(column.bars)
        for box in drawn.boxes:
            assert 0 <= box.x <= box.x + box.width <= WIDTH + 0.2
            assert 0 <= max(box.train, box.test) <= HEIGHT
        assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in drawn.points)


@pytest.mark.slow
@pytest.mark.parametrize("width", [400, 1200])
def test_a_browser_shows_the_page_without_errors_at_any_width(
    tmp_path: Path, need: Callable[[object, str], None], width: int
) -> None:
    need(CHROMIUM, "chromium")
    from playwright.sync_api import sync_playwright

    profile = profile_of(pd.DataFrame(ODD).assign(**FRAME), TARGETS["binary"])
    (tmp_path / "page.html").write_text(page(profile))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        shown, errors = browser.new_page(viewport={"width": width, "height": 900}), list[str]()
        shown.on("console", lambda message: errors.append(message.text))
        shown.on("pageerror", lambda error: errors.append(str(error)))
        shown.on("dialog", lambda dialog: errors.append(dialog.message))
        shown.on("request", lambda request: errors.append(request.url) if request.url.startswith("http") else None)
        shown.goto((tmp_path / "page.html").as_uri())
        widths = shown.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
        rows = shown.locator("table.columns tbody tr").count()
        squares = shown.locator("table.heat td").count()
        browser.close()
    assert errors == []
    assert widths[0] <= widths[1]
    assert rows == len(profile.columns)
    assert squares == len(profile.heatmap) ** 2 + 1
