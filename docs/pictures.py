"""Takes the pictures of the documentation: python docs/pictures.py, after `make demo` and while `make dev` runs.

It needs Chromium, as Debian's package `chromium` has it.
"""

import argparse
import shutil
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

HERE = Path(__file__).resolve().parent
STAGES = ("data", "features", "models", "evaluation", "production")
GROUPS = ",".join(f"global@global:flight_delays_{stage}" for stage in STAGES)


def graph(page: Page, dagster: str) -> None:
    """The asset graph of flight_delays, with every stage opened."""
    page.goto(f'{dagster}/asset-groups?asset-selection=key:"flight_delays/*"&expanded={GROUPS}')
    page.get_by_text("production_model").first.wait_for()
    page.get_by_label("zoom-out").or_(page.locator("button:has([aria-label='zoom_out'])")).first.wait_for()


def evaluation(page: Page, dagster: str) -> None:
    """The latest evaluation: scores, plots, coordinates."""
    page.goto(f"{dagster}/assets/flight_delays/evaluation")
    page.get_by_text("test roc_auc").first.wait_for()


def main() -> None:
    """Writes every picture beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dagster", default="http://127.0.0.1:3000")
    dagster = parser.parse_args().dagster
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for picture in (graph, evaluation):
            page = browser.new_page(viewport={"width": 1600, "height": 900})
            picture(page, dagster)
            page.wait_for_timeout(3000)  # the graph moves into its place
            page.screenshot(path=HERE / f"{picture.__name__}.png")
        browser.close()


if __name__ == "__main__":
    main()
