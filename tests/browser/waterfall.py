"""The waterfall as a test speaks of it."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

from lab.domain.case import Case
from tests.browser.conftest import CASE, RunningDesk


def open_trace(
    page: Page, desk: RunningDesk, trace_id: str, query: str = "", case: str = CASE
) -> None:
    """Open a trace's page and wait until its rows stand."""
    page.goto(desk.path(case, "traces", trace_id) + query)
    wait_until_drawn(page)


def wait_until_drawn(page: Page) -> None:
    expect(page.locator("#waterfall[data-ready]")).to_be_visible()


def row(page: Page, words: str) -> Locator:
    """The first mounted row whose spoken name holds these words."""
    return page.get_by_role("row", name=words).first


def focused(page: Page) -> str:
    """The spoken name of what has the focus."""
    return page.evaluate("document.activeElement.getAttribute('aria-label') ?? ''")  # type: ignore[no-any-return]


def victim(case: Case) -> str:
    """The trace that the briefing's support code names."""
    assert case.support_code
    return case.support_code
