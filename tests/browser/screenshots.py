"""Takes the pictures in docs/img: ``make screenshots``. The desk shows a recorded case."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Final

from playwright.sync_api import Page, sync_playwright

from lab.adapters.cases.archive import FolderArchive
from lab.settings import CHECKOUT
from tests.browser.conftest import CASE, CHROMIUM, RunningDesk, desk_over
from tests.browser.waterfall import wait_until_drawn

IMAGES: Final = CHECKOUT / "docs" / "img"


def take(page: Page, desk: RunningDesk) -> None:
    """The waterfall at the span that failed, and the map."""
    code = FolderArchive(desk.state_dir / "cases").load(CASE).support_code
    page.goto(desk.path(CASE, "traces", code or ""))
    wait_until_drawn(page)
    page.locator("#rows [role=row]").first.focus()
    page.keyboard.press("e")
    page.keyboard.press("Enter")
    page.wait_for_selector("#span-title")
    save(page, "waterfall")
    page.goto(desk.path(CASE, "map"))
    save(page, "map")


def save(page: Page, name: str) -> None:
    """Keep what is seen of the page."""
    page.wait_for_timeout(200)
    page.screenshot(path=IMAGES / f"{name}.png", animations="disabled")


def main() -> None:
    """Open a desk over a recording, and take every picture."""
    if not CHROMIUM:
        sys.exit("expected a Chromium on PATH or in LAB_CHROMIUM_BIN, found none")
    IMAGES.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        desk_over(Path(folder) / "state") as desk,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"] if os.geteuid() == 0 else []
        )
        take(browser.new_page(viewport={"width": 1180, "height": 720}), desk)


if __name__ == "__main__":
    main()
