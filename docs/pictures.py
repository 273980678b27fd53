"""Takes the pictures of the documentation: python docs/pictures.py, after `make demo` and while `make dev` runs.

It needs Chromium, as Debian's package `chromium` has it.
"""

import argparse
import shutil
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from resources.home import home

HERE = Path(__file__).resolve().parent
STAGES = ("data", "features", "models", "evaluation", "production")
GROUPS = ",".join(f"global@global:flight_delays_{stage}" for stage in STAGES)
SHORTEN = """([long, short]) => {
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) texts.currentNode.data = texts.currentNode.data.replace(long, short);
}"""


def graph(page: Page, dagster: str) -> None:
    """Show what comes of the feature matrix: models, evaluation, production."""
    scope = f"view=lineage&lineageScope=downstream&lineageDepth=9&expanded={GROUPS}"
    page.goto(f"{dagster}/assets/flight_delays/features/development?{scope}")
    page.get_by_text("production_model").first.wait_for()


def evaluation(page: Page, dagster: str) -> None:
    """Show the latest evaluation: scores, plots, coordinates."""
    page.goto(f"{dagster}/assets/flight_delays/evaluation")
    page.get_by_text("test roc_auc").first.wait_for()
    page.evaluate(SHORTEN, [str(home()), ".sextant"])


def profile(page: Page, _: str) -> None:
    """Show the latest profile: what to look at, examples in time, columns."""
    page.goto(latest("profile_page"))


def report(page: Page, _: str) -> None:
    """Show the latest report: gates, metrics with intervals, decisions."""
    page.goto(latest("report"))


def latest(folder: str) -> str:
    """Return the address of the latest page that is stored in a folder of the use case."""
    pages = (home() / "storage" / "flight_delays" / folder).glob("*.html")
    return max(pages, key=lambda file: file.stat().st_mtime).as_uri()


PICTURES: dict[Callable[[Page, str], None], tuple[int, int]] = {
    graph: (2300, 860), profile: (1180, 1700), evaluation: (1700, 1250), report: (1180, 2000),
}  # fmt: skip


def main() -> None:
    """Write every picture beside this file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dagster", default="http://127.0.0.1:3000")
    dagster = parser.parse_args().dagster
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for picture, (width, height) in PICTURES.items():
            page = browser.new_page(viewport={"width": width, "height": height})
            picture(page, dagster)
            page.wait_for_timeout(3000)  # the graph moves into its place
            page.screenshot(path=HERE / f"{picture.__name__}.png")
        browser.close()


if __name__ == "__main__":
    main()
