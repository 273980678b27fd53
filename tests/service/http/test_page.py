from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.http import page
from service.http.access import read_access
from service.http.app import Application
from service.http.served import Served
from tests.support.applications import started

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.slow
@pytest.mark.parametrize("width", [400, 1200])
def test_a_browser_asks_the_service_by_the_page_and_nobody_else(
    write_bundle: Any, need: Callable[[object, str], None], width: int
) -> None:
    need(CHROMIUM, "chromium")
    from playwright.sync_api import sync_playwright

    served = Served()
    served.load(write_bundle())
    with started(Application(served)) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        shown, errors = browser.new_page(viewport={"width": width, "height": 900}), list[str]()
        shown.on("console", lambda message: errors.append(message.text))
        shown.on("pageerror", lambda error: errors.append(str(error)))
        shown.on("request", lambda request: None if request.url.startswith(url) else errors.append(request.url))
        shown.goto(f"{url}/docs")
        shown.locator("#operations-records_and_events-post_predict .opblock-summary-control").click()
        shown.locator("#operations-records_and_events-post_predict button.execute").click()
        answered = shown.locator(
            "#operations-records_and_events-post_predict .live-responses-table .response-col_status"
        )
        answered.filter(has_text="200").wait_for()
        answer = shown.locator(
            "#operations-records_and_events-post_predict .live-responses-table .highlight-code code"
        ).first
        text = answer.inner_text()
        widths = shown.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
        browser.close()

    assert errors == []
    assert json.loads(text)["score"] == pytest.approx(served.require_predictor().golden.scores[0])
    assert widths[0] <= widths[1]


@pytest.mark.slow
def test_a_browser_is_asked_for_the_api_key_and_sends_it(
    write_bundle: Any, need: Callable[[object, str], None]
) -> None:
    need(CHROMIUM, "chromium")
    from playwright.sync_api import sync_playwright

    served = Served()
    served.load(write_bundle())
    served.access = read_access({"SEXTANT_API_KEYS": "of-the-house"})
    with started(Application(served)) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        shown = browser.new_page()
        shown.on("dialog", lambda dialog: dialog.accept("of-the-house"))
        shown.goto(f"{url}/docs")
        shown.locator("#operations-records_and_events-post_predict .opblock-summary-control").click()
        shown.locator("#operations-records_and_events-post_predict button.execute").click()
        answered = shown.locator(
            "#operations-records_and_events-post_predict .live-responses-table .response-col_status"
        )
        answered.filter(has_text="200").wait_for()
        browser.close()


def test_without_swagger_ui_its_files_are_missed_by_name(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_: str) -> ModuleSpec | None:
        return None

    page._content.cache_clear()
    monkeypatch.setattr(page, "find_spec", none)

    answer = client.get(f"/docs/{page.SCRIPT}")

    assert answer.status_code == 404
    assert "use /openapi.json" in answer.json()["error"]
