"""``--spans``: what a test's spans were, kept as OTLP/JSON for the desk, or as a page beside it."""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Generator, Iterator
from importlib.resources import files
from typing import Final

import pytest

from lab.domain.rows import Row, extent_ns, rows
from lab.domain.trace import Span, Status, Trace
from lab.domain.wording import duration, visible
from lab.testing.report import MOST_ROWS, title
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


def page_of(test: str, found: TraceSet) -> str:
    """The traces as one page that needs nothing else: rows with a bar on a common axis."""
    name = html.escape(visible(test))
    style = files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    body = "".join(
        f"<h2>trace {trace.trace_id}</h2><table>{''.join(_rows(trace))}</table>"
        for trace in found.traces
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{name}</title>'
        f"<style>{style}</style><h1>{name}</h1>{body}</html>\n"
    )


def _rows(trace: Trace) -> Iterator[str]:
    start_ns, end_ns = extent_ns(trace)
    per_cent = 100 / max(1, end_ns - start_ns)
    for number, row in enumerate(rows(trace)):
        if isinstance(row.item, Span) and number < 10 * MOST_ROWS:
            yield _row(row, row.item, start_ns, per_cent)


def _row(row: Row, span: Span, start_ns: int, per_cent: float) -> str:
    left, width = (span.start_ns - start_ns) * per_cent, (span.end_ns - span.start_ns) * per_cent
    mark = ' class="error"' if span.status is Status.ERROR else ""
    attributes = "\n".join(f"{key} = {value}" for key, value in sorted(span.attributes.items()))
    return (
        f'<tr{mark} title="{html.escape(visible(attributes))}">'
        f'<td style="padding-left:{row.depth}em">{html.escape(title(span))}</td>'
        f'<td>{duration(span.duration_ms)}</td><td class="axis">'
        f'<i style="left:{left:.2f}%;width:{max(0.0, width):.2f}%"></i></td></tr>'
    )
