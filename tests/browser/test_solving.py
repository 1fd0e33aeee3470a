"""A case is solved at the desk: by mouse, by keyboard alone, in two tabs, and across a restart."""

from __future__ import annotations

import re

from playwright.sync_api import BrowserContext, Page, expect

from lab.adapters.cases.archive import FolderArchive
from tests.browser.conftest import CASE, RunningDesk
from tests.browser.waterfall import focused, open_trace, row, wait_until_drawn


def support_code(desk: RunningDesk) -> str:
    code = FolderArchive(desk.state_dir / "cases").load(CASE).support_code
    assert code
    return code


def test_a_case_is_solved_by_mouse(page: Page, desk: RunningDesk) -> None:
    """From the board over the support code to the span that did it."""
    page.goto(desk.url)
    page.get_by_role("link", name="The clock stops at checkout").first.click()
    page.get_by_role("link", name=support_code(desk)).click()
    wait_until_drawn(page)
    row(page, "auth SELECT").or_(row(page, "auth db.connect")).first.click()
    details = page.get_by_role("region", name="Details of a span")
    expect(details).to_contain_text("fails by itself")
    details.get_by_role("link", name="Accuse this span").click()
    page.locator("input[name=mechanism][value=timeout]").check()
    page.get_by_role("button", name="Accuse", exact=True).click()
    expect(page.locator("main")).to_contain_text("Case closed")


def test_a_case_is_solved_by_keyboard_alone(page: Page, desk: RunningDesk) -> None:
    """With a screen reader's view of it: one tab stop in the grid, names, levels and states."""
    open_trace(page, desk, support_code(desk))
    grid = page.get_by_role("treegrid")
    expect(grid.locator("[role=row][tabindex='0']")).to_have_count(1)
    tab_to(page, "storefront POST /checkout")
    first = page.locator("[role=row]:focus")
    expect(first).to_have_attribute("aria-level", "1")
    expect(first).to_have_attribute("aria-expanded", "true")
    assert "hands up an error" in focused(page)

    page.keyboard.press("ArrowLeft")
    expect(first).to_have_attribute("aria-expanded", "false")
    assert grid.locator("#rows [role=row]").count() == 1
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.locator("[role=row]:focus")).to_have_attribute("aria-level", "2")
    page.keyboard.press("End")
    page.keyboard.press("Home")
    assert focused(page).startswith("storefront POST /checkout")

    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys in the waterfall")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("e")
    assert re.search(r"auth (SELECT|db\.connect).*fails by itself", focused(page))
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Details of a span")).to_be_focused()
    page.keyboard.press("Escape")
    assert "fails by itself" in focused(page)
    page.keyboard.press("/")
    page.keyboard.type("pool.acquire")
    expect(page.locator("#found")).to_contain_text("found")
    page.keyboard.press("Enter")
    assert "auth pool.acquire" in focused(page)
    page.keyboard.press("e")
    close_by_keys(page)


def close_by_keys(page: Page) -> None:
    """Accuse the span that has the focus of *timeout*, by keys alone, and read the verdict."""
    page.keyboard.press("a")
    page.wait_for_url("**/accuse?**")
    tab_to_radio(page, "timeout")
    page.keyboard.press("Space")
    tab_to(page, "Accuse", exact=True)
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text("Case closed")


def tab_to(page: Page, name: str, *, exact: bool = False) -> None:
    """Press Tab until what has this name has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        said: str = page.evaluate(
            "(({ ariaLabel, textContent }) => (ariaLabel ?? textContent).trim())"
            "(document.activeElement)"
        )
        if said == name if exact else name in said:
            return
    raise AssertionError(f"no tab stop is called {name}")


def tab_to_radio(page: Page, value: str) -> None:
    """Tab into the group of radio buttons, then with the arrows to this one."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.name") == "mechanism":
            break
    for _ in range(40):
        if page.evaluate("document.activeElement.value") == value:
            return
        page.keyboard.press("ArrowDown")
    raise AssertionError(f"no radio button {value}")


def test_two_tabs_and_a_restarted_desk_tell_one_story(
    context: BrowserContext, desk: RunningDesk
) -> None:
    """What one tab did, the other sees at its next look; nothing is lost with the process."""
    one, other = context.new_page(), context.new_page()
    other.goto(desk.path(CASE))
    one.goto(desk.path(CASE, "accuse"))
    one.get_by_role("checkbox").check()
    one.get_by_role("button", name="Declare that nobody did it").click()
    expect(one.locator("main")).to_contain_text("Somebody did it")
    desk.stop()
    desk.start()
    other.goto(desk.url)
    shown = other.get_by_role("listitem").filter(has_text="The clock stops at checkout")
    expect(shown).to_contain_text("accused 1×")
