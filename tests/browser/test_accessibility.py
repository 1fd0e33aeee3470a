"""axe-core finds nothing to complain of, on any page, in either light."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from lab.adapters.cases.archive import FolderArchive
from tests.browser.conftest import CASE, RunningDesk
from tests.browser.waterfall import wait_until_drawn

PAGES = (
    "/",
    "/?state=solved",
    "/accuse",
    "/api/docs",
    "/nowhere",
    "/cases/{case}",
    "/cases/{case}/traces",
    "/cases/{case}/traces?from_s=8&to_s=12&group=tenant",
    "/cases/{case}/logs",
    "/cases/{case}/contrast",
    "/cases/{case}/background",
    "/cases/{case}/map",
    "/cases/{case}/hints",
    "/cases/{case}/accuse",
    "/cases/{case}/accuse?suspect={code}",
    "/cases/{case}/debrief",
    "/cases/{case}/traces/{code}",
    "/cases/{case}/traces/{code}?span={span}&path=yes",
    "/cases/{case}/traces/{code}/spans/{span}",
    "/cases/{case}/traces/{code}?repeats=fold&depth=3&view=0-100",
    "/cases/{case}/traces/{code}/flame",
    "/cases/{case}/traces/{code}/twin",
)
RULES = {
    "runOnly": {
        "type": "tag",
        "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    }
}


@pytest.fixture
def lit_page(
    chromium: Browser, desk: RunningDesk, scheme: Literal["light", "dark"]
) -> Iterator[Page]:
    context = chromium.new_context(color_scheme=scheme, viewport={"width": 1280, "height": 860})
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_violates_a_rule(lit_page: Page, desk: RunningDesk, scheme: str) -> None:
    """All of them in one go: a browser and a desk are dear."""
    case = FolderArchive(desk.state_dir / "cases").load(CASE)
    assert case.support_code
    span = case.evidence.traces[case.support_code].deepest_errors()[0]
    found: dict[str, str] = {}
    for path in PAGES:
        address = path.format(case=CASE, code=case.support_code, span=span.span_id)
        lit_page.goto(desk.url + address)
        if lit_page.locator("#waterfall").count():
            wait_until_drawn(lit_page)
        if "?span=" in path:
            expect(lit_page.locator("#span-title")).to_be_visible()
        if path.endswith("/twin"):
            lit_page.get_by_role("button", name="Switch the healthy twin on").click()
            lit_page.get_by_text("rows that changed by under 5 %").click()
        results = Axe().run(lit_page, options=RULES)
        if results.violations_count:
            found[path] = results.generate_report()
    assert found == {}


@pytest.mark.parametrize("scheme", ["light"])
def test_a_violation_is_found(lit_page: Page, desk: RunningDesk, scheme: str) -> None:
    """The check above can fail."""
    lit_page.goto(desk.url)
    lit_page.evaluate("document.querySelector('main').append(document.createElement('button'))")
    assert Axe().run(lit_page, options=RULES).violations_count == 1
