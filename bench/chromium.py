"""A page in a real Chromium before a desk of its own, and the section that tells of it."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright
from promises import Row, table
from results import circumstances, write_section

from lab.domain.case import Case
from tests.browser.conftest import CHROMIUM, RunningDesk, desk_over


@contextmanager
def page_before(case: Case) -> Iterator[tuple[Page, RunningDesk]]:
    """A page, and the desk that has the recorded case and this one; needs a Chromium."""
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        desk_over(Path(folder) / "state") as desk,
        sync_playwright() as playwright,
    ):
        desk.add(case)
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser.new_page(viewport={"width": 1280, "height": 860}), desk


def write(title: str, measured: Callable[[], Sequence[Row]]) -> None:
    """Measure, write the section of that title, print it."""
    load_before = os.getloadavg()[0]
    text = f"{circumstances(load_before, 'make bench')}\n\n{table(measured())}"
    write_section(title, text)
    sys.stdout.write(f"{text}\n")
