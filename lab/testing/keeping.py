"""``--spans``: what a test's spans were, kept as OTLP/JSON for the desk, or as a page beside it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Generator
from typing import Final

import pytest

from lab.testing.page import page_of
from lab.testing.source import TraceSet, look_at

SUFFIX: Final = ".otlp.json"
_LONGEST_NAME: Final = 80


class Keeper:
    """Keeps the spans of tests: of those that failed, or of all."""

    def __init__(self, config: pytest.Config) -> None:
        self._when: str = config.getoption("spans")
        self._folder = config.rootpath / config.getoption("spans_dir")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Keep them while the fixtures that have them are still there."""
        report = yield
        if call.when == "call" and (report.failed or self._when == "always"):
            found = _spans_of(item)
            if found.traces:
                report.sections.append(("Kept spans", self._keep(item.nodeid, found)))
        return report

    def _keep(self, test: str, found: TraceSet) -> str:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{_file_name(test)}{SUFFIX}"
        found.save(path)
        told = f"{len(found)} spans in {path}; `lab open {path}` shows them at the desk"
        if self._when != "html":
            return told
        page = path.with_name(path.name.removesuffix(SUFFIX) + ".html")
        page.write_text(page_of(test, found), encoding="utf-8")
        return f"{told}, {page} in any browser"


def _spans_of(item: pytest.Item) -> TraceSet:
    """What all sources among the test's fixtures have, each span once."""
    given = getattr(item, "funcargs", {}).values()
    found = [span for each in given if hasattr(each, "poll_s") for span in look_at(each)]
    return TraceSet.of_spans({(each.trace_id, each.span_id): each for each in found}.values())


def _file_name(test: str) -> str:
    """A test's id as a name that any disk takes, and that no other test has."""
    words = re.sub(r"[^A-Za-z0-9_.-]+", "-", test.rpartition("/")[2]).strip("-.")
    if len(words) <= _LONGEST_NAME and test.isascii():
        return words
    return f"{words[:_LONGEST_NAME]}-{hashlib.sha256(test.encode()).hexdigest()[:8]}"
