"""The desk over cases in memory, asked as a browser asks it."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx
from starlette.routing import Route

from lab.adapters.memory.case_archive import MemoryArchive
from lab.adapters.memory.clock import FakeClock
from lab.desk.app import ROUTERS, create_app
from lab.desk.desk import Desk
from lab.desk.runs import Command, Runs, lab_run
from lab.domain.case import Case, CaseFile
from lab.ports.case_archive import CaseArchive
from lab.settings import Settings

FREE_OFFSET = 14400
"""Where no stack of any test listens."""

HERE = "http://127.0.0.1:32523"

_TOKEN = re.compile(r'name="desk_token" value="([^"]+)"')


def addresses_about(case: CaseFile) -> list[str]:
    """Every page and every JSON address that is about a case, filled in with one of its traces."""
    support_code = case.support_code if isinstance(case, Case) else None
    trace_id = support_code or next(iter(case.evidence.traces))
    span_id = case.evidence.traces[trace_id].spans[0].span_id
    exhibits = case.scenario.exhibits if isinstance(case, Case) else {}
    exhibit = next(iter(exhibits), "none-yet")
    values = {"case_id": case.case_id, "trace_id": trace_id, "span_id": span_id, "name": exhibit}
    return [
        route.path.format(**values, number=1)
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, Route) and "GET" in (route.methods or ()) and "{case" in route.path
    ]


class DeskUnderTest:
    """A desk, its archive and clock, and one browser in front of it that keeps its cookies.

    The archive is one in memory that holds ``cases``, unless another is given.
    """

    def __init__(
        self,
        place: Path,
        *cases: Case,
        command: Command = lab_run,
        archive: CaseArchive | None = None,
    ) -> None:
        self.clock = FakeClock()
        self.archive = MemoryArchive(place, self.clock)
        for case in cases:
            self.archive.seal(case)
        settings = Settings(state_dir=place, port_offset=FREE_OFFSET)
        self.runs = Runs(settings, command)
        self.app = create_app(Desk(archive or self.archive, self.clock, settings, self.runs))
        self._browser = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=self.app, raise_app_exceptions=True),
            base_url=HERE,
            follow_redirects=True,
        )

    def get(self, path: str, **more: Any) -> httpx.Response:
        """One page, redirects followed."""
        return asyncio.run(self._browser.get(path, **more))

    def post(self, path: str, **more: Any) -> httpx.Response:
        """What a form, or a program with ``json``, sends."""
        return asyncio.run(self._browser.post(path, **more))

    def put(self, path: str, **more: Any) -> httpx.Response:
        """What a program puts."""
        return asyncio.run(self._browser.put(path, **more))

    def send(self, form_page: str, action: str, **fields: Any) -> httpx.Response:
        """Open a page, fill the form on it and send it, with the token it holds."""
        found = _TOKEN.search(self.get(form_page).text)
        assert found, f"{form_page} has no form"
        return self.post(action, data={"desk_token": found[1], **fields})
