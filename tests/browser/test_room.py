"""Board, room and requests in a real browser: by dragging, by keys, and without a script."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import CASE, RunningDesk
from tests.browser.test_solving import close_by_keys, tab_to
from tests.browser.waterfall import focused, wait_until_drawn

PLOT = "#chart-rate svg.plot"
SCATTER = "#chart-scatter svg.plot"
MOST_SHIFT = 0.02

SHIFT = """() => new Promise((resolve) => {
  let moved = 0;
  new PerformanceObserver((list) => {
    for (const each of list.getEntries()) moved += each.value;
  }).observe({ type: 'layout-shift', buffered: true });
  setTimeout(() => resolve(moved), 300);
})"""


@pytest.fixture
def plain_page(chromium: Browser, desk: RunningDesk) -> Iterator[Page]:
    """A browser that runs no script."""
    context = chromium.new_context(java_script_enabled=False)
    yield context.new_page()
    context.close()


@pytest.fixture
def board(desk: RunningDesk) -> str:
    """The board's address; every scenario was read for it, which on a busy machine takes long."""
    httpx.get(desk.url, timeout=120).raise_for_status()
    return desk.url


def asked(page: Page) -> dict[str, float]:
    """The numbers in the address."""
    fields = parse_qs(urlsplit(page.url).query)
    return {
        key: float(fields[key][0])
        for key in ("from_s", "to_s", "min_ms", "max_ms")
        if key in fields
    }


def drag(page: Page, plot: str, start: tuple[float, float], end: tuple[float, float]) -> None:
    """From one place of a drawing to another: shares of its width, pixels from its top."""
    page.locator(plot).scroll_into_view_if_needed()
    box = page.locator(plot).bounding_box()
    assert box
    page.mouse.move(box["x"] + start[0] * box["width"], box["y"] + start[1])
    page.mouse.down()
    page.mouse.move(box["x"] + end[0] * box["width"], box["y"] + end[1], steps=4)
    page.mouse.up()


def test_dragging_over_a_chart_lists_its_requests(page: Page, desk: RunningDesk) -> None:
    """All that began in that time, whatever they came to."""
    page.goto(desk.path(CASE))
    drag(page, PLOT, (0.25, 50), (0.5, 60))
    page.wait_for_url("**/traces?**")
    found = asked(page)
    assert 6 < found["from_s"] < 8.5
    assert 13 < found["to_s"] < 16
    expect(page.locator("#f-from_s")).to_have_value(f"{found['from_s']:g}")


def test_a_box_in_the_scatter_asks_for_time_and_latency(page: Page, desk: RunningDesk) -> None:
    """Only its requests are left, and one way leads back to all of them."""
    page.goto(desk.path(CASE, "traces"))
    drag(page, SCATTER, (0.2, 30), (0.6, 80))
    page.wait_for_url("**from_s**")
    found = asked(page)
    assert found["from_s"] < found["to_s"]
    assert 100 < found["min_ms"] < found["max_ms"]
    expect(page.locator("table.list")).to_contain_text("error")
    expect(page.locator("table.list tbody")).not_to_contain_text("ok")
    page.get_by_role("link", name="Back to all the time").click()
    assert asked(page) == {}


def test_without_a_script_a_second_is_a_link(plain_page: Page, desk: RunningDesk) -> None:
    """In a drawing, in its table, and by a form; the scatter too."""
    plain_page.goto(desk.path(CASE))
    expect(plain_page.get_by_role("button", name="Keys")).to_have_count(0)
    plain_page.locator(f"{PLOT} a").nth(9).click()
    assert asked(plain_page) == {"from_s": 9, "to_s": 10}
    plain_page.locator(f"{SCATTER} a").nth(3).click()
    found = asked(plain_page)
    assert 9 < found["from_s"] < found["to_s"] < 10
    plain_page.goto(desk.path(CASE))
    plain_page.get_by_label("Requests from second").fill("8")
    plain_page.get_by_label("to", exact=True).fill("9.5")
    plain_page.get_by_role("button", name="List them").click()
    assert asked(plain_page) == {"from_s": 8, "to_s": 9.5}
    expect(plain_page.locator("table.list caption")).to_contain_text(re.compile(r"^\d+ requests"))


def test_without_a_script_the_board_is_filtered_and_practised(plain_page: Page, board: str) -> None:
    """A form leads to what fits, and a button to the recording."""
    plain_page.goto(board)
    plain_page.locator("#f-level").select_option("1")
    plain_page.get_by_role("button", name="Show").click()
    expect(plain_page.locator("li.case").first).to_be_visible()
    expect(plain_page.get_by_role("heading", name="Level 2")).to_have_count(0)
    plain_page.get_by_role("button", name="Practise").first.click()
    expect(plain_page.get_by_role("heading", name="What the dashboard shows")).to_be_visible()


def test_from_the_board_to_the_verdict_by_keyboard_alone(page: Page, board: str) -> None:
    """Find the case, choose the bad second, take one of its requests, accuse the span."""
    page.goto(board)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys on this page")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type("clock stops")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=clock**")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/cases/{CASE}")

    page.keyboard.press("s")
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    expect(page.locator("#stretch-says")).to_contain_text("9 s (incident): requests/s")
    page.keyboard.press("Shift+ArrowRight")
    expect(page.locator("#stretch-says")).to_have_text("from 9 s to 11 s")
    page.keyboard.press("Enter")
    page.wait_for_url("**/traces?**")
    assert asked(page) == {"from_s": 9, "to_s": 11}

    page.keyboard.press("j")
    page.keyboard.press("Enter")
    wait_until_drawn(page)
    tab_to(page, "storefront ")
    page.keyboard.press("e")
    assert "fails by itself" in focused(page)
    close_by_keys(page)


@pytest.mark.parametrize("width", [360, 1280, 2200])
def test_nothing_moves_and_nothing_is_wider_than_the_page(
    page: Page, desk: RunningDesk, board: str, width: int
) -> None:
    """After the first paint; a wide table scrolls in its own frame."""
    page.set_viewport_size({"width": width, "height": 860})
    for path in ("/", f"/cases/{CASE}", f"/cases/{CASE}/traces?group=tenant"):
        page.goto(board + path)
        assert page.evaluate(SHIFT) <= MOST_SHIFT, path
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, path
    page.goto(desk.path(CASE))
    box = page.locator(PLOT).bounding_box()
    assert box
    assert box["width"] > width - 150
