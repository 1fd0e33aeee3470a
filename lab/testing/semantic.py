"""Lint for telemetry as a test: the conventions that the lab's own shop follows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from lab.adapters.otlp import personal_data
from lab.domain.proof import Outcome
from lab.domain.trace import Event, Link, Span, Status, Trace
from lab.domain.wording import counted, unknown_name, visible
from lab.errors import UsageError
from lab.frozen import dataclass
from lab.testing import report
from lab.testing.source import TraceSet

NAME: Final = "name"
ERROR: Final = "error"
PERSONAL_DATA: Final = "personal-data"
PROPAGATION: Final = "propagation"

RULES: Final[Mapping[str, str]] = {
    NAME: "a span's name is of few: no id, no number of somebody, no query string in it",
    ERROR: "a span in error says of which type it is (error.type, or a recorded exception), and "
    "one that says so is in error",
    PERSONAL_DATA: "no address and no card number in names, attributes, events and messages",
    PROPAGATION: "a trace has one root, and every parent that is named has come",
}
"""Each rule and what it asks for."""

_ID: Final = re.compile(
    r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
    r"|\b(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{16,}\b"
    r"|(?<=[/=:#])\d+(?=$|[/?&;])"
    r"|\d{5,}"
    r"|\?\S+=\S*",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Problem:
    """A convention that a span does not follow."""

    rule: str
    span: Span
    found: str

    def __str__(self) -> str:
        """For people: ``error: ERROR without error.type``."""
        return f"{self.rule}: {self.found}"


def problems(found: TraceSet, ignore: Sequence[str] = ()) -> tuple[Problem, ...]:
    """Everything in which ``found`` does not follow the conventions, but for rules to ignore."""
    if unknown := [rule for rule in ignore if rule not in RULES]:
        raise UsageError(unknown_name("rule", unknown[0], RULES))
    return tuple(
        problem
        for trace in found.traces
        for problem in _of_trace(trace, found)
        if problem.rule not in ignore
    )


def judge(found: TraceSet, ignore: Sequence[str]) -> tuple[Outcome, Callable[[], str]]:
    """What it comes to, and in words; nothing at all follows no convention."""
    there = problems(found, ignore)

    def told() -> str:
        return _told(there, found)

    if not found.traces:
        return Outcome.UNKNOWN if found.may_grow else Outcome.FAILS, told
    if not there:
        return Outcome.HOLDS, told
    only_missing = all(problem.rule == PROPAGATION for problem in there)
    return Outcome.UNKNOWN if only_missing and found.is_running else Outcome.FAILS, told


def _of_trace(trace: Trace, found: TraceSet) -> Iterator[Problem]:
    for span in trace:
        if match := _ID.search(span.name):
            yield Problem(NAME, span, f"the name has {match.group()!r} in it, which is of one")
        yield from _of_error(span)
        yield from _of_people(span)
        missing = span.parent_id is not None and span.parent_id in trace.missing_parents
        if missing and span.parent_id not in found.callers:
            yield Problem(PROPAGATION, span, f"its parent {span.parent_id} never came")
    for root in trace.roots[1:]:
        yield Problem(PROPAGATION, root, "a second root of its trace: its parent was lost")


def _of_error(span: Span) -> Iterator[Problem]:
    kind = span.attributes.get("error.type")
    if span.status is Status.ERROR and kind is None and not span.exceptions:
        yield Problem(ERROR, span, "in error, with neither error.type nor an exception")
    if span.status is not Status.ERROR and kind is not None:
        yield Problem(ERROR, span, f"error.type is {kind!r}, and the status is {span.status}")


def _of_people(span: Span) -> Iterator[Problem]:
    for where, text in _texts(span):
        if secret := personal_data.found_in(text):
            # The report of a test is kept as well, and is read by more.
            masked = secret[:2] + "…"
            yield Problem(PERSONAL_DATA, span, f"{where} has an address or a card in it: {masked}")


def _texts(span: Span) -> Iterator[tuple[str, str]]:
    yield "the name", span.name
    yield "the status message", span.status_message
    yield from _values(span.attributes, "")
    for event in span.events:
        yield "the name of an event", event.name
        yield from _of_part(event, f"event {event.name}: ")
    for link in span.links:
        yield from _of_part(link, "link: ")


def _of_part(part: Event | Link, at: str) -> Iterator[tuple[str, str]]:
    yield from _values(part.attributes, at)


def _values(attributes: Mapping[str, Any], at: str) -> Iterator[tuple[str, str]]:
    for key, value in attributes.items():
        yield f"{at}{key}", str(value)


def _told(there: tuple[Problem, ...], found: TraceSet) -> str:
    if not found.traces:
        return "expected spans that follow the conventions, found no span at all"
    lines = [f"expected spans that follow the conventions, found {counted(len(there), 'problem')}"]
    lines += [f"  {report.title(each.span)}: {visible(str(each))}" for each in there]
    lines += [f"{rule}: {RULES[rule]}" for rule in dict.fromkeys(each.rule for each in there)]
    marks: dict[report.Place, str] = {}
    for each in there:
        place = each.span.trace_id, each.span.span_id
        marks[place] = "; ".join(filter(None, (marks.get(place), each.rule)))
    ids = {each.span.trace_id for each in there}
    shown = tuple(trace for trace in found.traces if trace.trace_id in ids)
    return "\n".join([*lines, *report.trees(shown, found, marks)])
