"""When a stranger's traces were healthy, said in a real browser: by dragging, keys or fields."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from lab.adapters.cases.archive import FolderArchive
from lab.adapters.cases.bring import Wish, bring_files
from lab.adapters.otlp.traces import write_traces
from tests.browser.conftest import RunningDesk
from tests.support.sample_case import START_S, fatal_trace, healthy_trace

PLOT = "#chart-rate svg.plot"
TRACES = (
    *(healthy_trace(f"{n:032x}", START_S + n) for n in range(1, 21)),
    *(fatal_trace(f"{n:032x}", START_S + n) for n in range(21, 31)),
)


@pytest.fixture
def brought(desk: RunningDesk, tmp_path: Path) -> str:
    """Thirty traces, one a second, of which the first twenty are well."""
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(write_traces(TRACES)))
    archive = FolderArchive(desk.state_dir / "cases")
    return bring_files(archive, [path], Wish(), lambda _what, _count: None).case_id


def healthy_traces(desk: RunningDesk, case_id: str) -> int:
    told = httpx.get(f"{desk.url}/api/v1/cases/{case_id}/reference").raise_for_status().json()
    return int(told["healthy_traces"])


def test_dragging_over_a_chart_says_it(page: Page, desk: RunningDesk, brought: str) -> None:
    """And the charts then have both times, without a word of the incident before."""
    page.goto(desk.path(brought))
    expect(page.locator(".shade")).to_have_count(0)
    box = page.locator(PLOT).bounding_box()
    assert box
    page.mouse.move(box["x"] + 1, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 70, steps=4)
    page.mouse.up()
    expect(page.get_by_role("heading", name="What was healthy")).to_be_visible()
    assert 13 <= healthy_traces(desk, brought) <= 17
    expect(page.locator(".shade.before").first).to_be_attached()


def test_keys_say_it_as_well(page: Page, desk: RunningDesk, brought: str) -> None:
    """The first step, then four more, and Enter."""
    page.goto(desk.path(brought))
    charts = page.locator("[data-stretch]")
    step_s = float(charts.get_attribute("data-step-s") or 0)
    charts.focus()
    page.keyboard.press("ArrowRight")
    for _ in range(4):
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="What was healthy")).to_be_visible()
    assert abs(healthy_traces(desk, brought) - 5 * step_s) <= 1


def test_two_fields_say_it_without_a_script(
    chromium: Browser, desk: RunningDesk, brought: str
) -> None:
    """And a button takes it away again."""
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(desk.path(brought))
    page.get_by_label("Healthy from").fill("0s")
    page.get_by_label("to", exact=True).fill("20s")
    page.get_by_role("button", name="This was healthy").click()
    expect(page.get_by_text("20 traces. All others are compared with them")).to_be_visible()
    page.get_by_role("button", name="Take the reference away").click()
    expect(page.get_by_role("heading", name="When was it healthy?")).to_be_visible()
    assert healthy_traces(desk, brought) == 0
    context.close()


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_is_wider_than_its_pages_and_no_field_lies_on_another(
    page: Page, desk: RunningDesk, brought: str, width: int
) -> None:
    """A wide table scrolls in its own frame, and its caption stays in sight."""
    page.set_viewport_size({"width": width, "height": 860})
    for path in ("", "map", "logs", "detective", "contrast"):
        page.goto(desk.path(brought, path) if path else desk.path(brought))
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        assert page.evaluate(WIDEST_CAPTION) <= width, path
    page.goto(desk.path(brought))
    assert page.evaluate(FIELDS_THAT_TOUCH) == []


WIDEST_CAPTION = """
Math.max(0, ...[...document.querySelectorAll("caption")]
  .map((it) => it.getBoundingClientRect().right))
"""
FIELDS_THAT_TOUCH = """
(() => {
  const fields = [...document.querySelectorAll(".filters :is(input, select)")];
  const boxes = fields.map((it) => [it.id, it.getBoundingClientRect()]);
  const touch = (a, b) =>
    a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  return boxes.flatMap(([one, a], n) =>
    boxes.slice(n + 1).filter(([, b]) => touch(a, b)).map(([other]) => `${one} ${other}`));
})()
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_its_pages(
    scheme: str, page: Page, desk: RunningDesk, brought: str
) -> None:
    """With and without a reference, and where a page has none to show."""
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    for said in (None, "0s..20s"):
        at = f"{desk.url}/api/v1/cases/{brought}/reference"
        httpx.put(at, json={"before": said}).raise_for_status()
        for path in ("", "map", "logs", "detective", "contrast"):
            page.goto(desk.path(brought, path) if path else desk.path(brought))
            assert Axe().run(page).response["violations"] == [], (path, said)
