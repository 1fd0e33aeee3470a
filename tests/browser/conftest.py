"""A real Chromium in front of a real desk that holds recorded cases."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from lab.adapters.cases.archive import FolderArchive
from lab.adapters.cases.recording_file import RECORDING
from lab.domain.case import Case
from lab.settings import CHECKOUT, Settings
from tests.support.lab_under_test import free_offset

CHROMIUM = os.environ.get("LAB_CHROMIUM_BIN") or shutil.which("chromium") or ""
"""Never one that Playwright brings: that is downloaded from outside any registry."""

CASE = "db-timeout-1"
STARTS_WITHIN_S = 20.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip aloud where no Chromium is."""
    if CHROMIUM:
        return
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(
                pytest.mark.skip(reason="no Chromium: none on PATH, none in LAB_CHROMIUM_BIN")
            )


@dataclass
class RunningDesk:
    """``python -m lab.desk`` over a state folder of its own."""

    state_dir: Path
    offset: int
    process: subprocess.Popen[bytes] | None = None
    problems: list[str] = field(default_factory=list)
    """What a browser complained of: errors of scripts, refused files, broken policies."""

    @property
    def url(self) -> str:
        return Settings(port_offset=self.offset, state_dir=self.state_dir).url("desk")

    def start(self) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("LAB_")}
        environment |= {"LAB_STATE_DIR": str(self.state_dir), "LAB_PORT_OFFSET": str(self.offset)}
        self.process = subprocess.Popen([sys.executable, "-m", "lab.desk"], env=environment)
        deadline = time.monotonic() + STARTS_WITHIN_S
        while True:
            try:
                httpx.get(f"{self.url}/healthz").raise_for_status()
            except httpx.HTTPError:
                assert self.process.poll() is None, "the desk ended at once"
                assert time.monotonic() < deadline, "the desk did not answer in time"
                time.sleep(0.1)
            else:
                return

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=10)

    def add(self, case: Case) -> None:
        """Put a case on the desk."""
        FolderArchive(self.state_dir / "cases").seal(case)

    def path(self, *parts: str) -> str:
        return "/".join((self.url, "cases", *parts))


@contextmanager
def desk_over(state_dir: Path) -> Iterator[RunningDesk]:
    """A desk with the recording of db-timeout, as long as the context lasts."""
    folder = state_dir / "cases" / CASE
    folder.mkdir(parents=True)
    with zipfile.ZipFile(CHECKOUT / "scenarios" / "db-timeout" / RECORDING) as recorded:
        recorded.extractall(folder)
    desk = RunningDesk(state_dir, free_offset())
    desk.start()
    try:
        yield desk
    finally:
        desk.stop()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[RunningDesk]:
    """A desk of the test's own, so that nothing was solved before it."""
    with desk_over(tmp_path / "state") as found:
        yield found
    assert found.problems == []


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Root has no sandbox of its own; what it opens are pages of this machine.
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"] if os.geteuid() == 0 else []
        )
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser, desk: RunningDesk) -> Iterator[BrowserContext]:
    """A browser without a past; whatever its pages complain of fails the test."""
    found = chromium.new_context(viewport={"width": 1280, "height": 860})
    found.set_default_timeout(15_000)
    found.on("weberror", lambda error: desk.problems.append(str(error.error)))
    found.on(
        "console",
        lambda said: desk.problems.append(said.text) if said.type == "error" else None,
    )
    yield found
    found.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()
