"""What the words of a case rest on, in its own evidence: measured, and where it is seen."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from functools import cache, partial
from typing import Final

from lab.domain.case import Case
from lab.domain.evidence import LogLine, Sample
from lab.domain.exhibit import MEASURED, exhibits_in, with_exhibits
from lab.domain.ledger import Ledger
from lab.domain.predicate import Predicate
from lab.domain.proof import Outcome
from lab.domain.record_check import LogCheck
from lab.domain.scenario import Check
from lab.domain.trace import Span, Trace
from lab.domain.wording import duration
from lab.errors import NotEarned, UsageError
from lab.frozen import dataclass
from lab.investigation.proof.measure import check_finding
from lab.investigation.reading.requests import WINDOW_WORDS

SHOWN: Final = 20
"""Witnesses are many; these are the first."""

_WHOLE: Final = re.compile(r" \(|;|:| over ")
"""What parts a number from what it was measured of."""

_MS: Final = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?)ms\b")
_COUNTED: Final = re.compile(r"\((\d+ of \d+ [^)]*)\)")

Written = Callable[[str, "Exhibit"], str]
"""Words of a text and what they rest on → how that stands in Markdown."""


@dataclass(frozen=True, slots=True)
class Witness:
    """A span and the trace it stands in."""

    trace: Trace
    span: Span

    @property
    def said(self) -> str:
        """Service, name and duration."""
        return f"{self.span.service} {self.span.name}, {duration(self.span.duration_ms)}"


@dataclass(frozen=True, slots=True)
class Exhibit:
    """``claim`` as the scenario words it, what was ``expected`` of this case and ``measured``.

    ``witnesses`` are spans that show it, the first of ``count``; empty where it is a number
    of requests or records, or that there is no such span. Of a claim on the log ``lines`` show
    it instead, and ``place`` is by what the list of all lines is to be filtered.
    """

    name: str
    claim: str
    expected: str
    measured: str
    outcome: Outcome
    witnesses: tuple[Witness, ...]
    count: int
    lines: tuple[LogLine, ...] = ()
    place: Mapping[str, str] = field(default_factory=dict)

    @property
    def told(self) -> str:
        """What is measured, with its times as they are written everywhere."""
        return _MS.sub(lambda found: duration(float(found[1])), self.measured)

    @property
    def short(self) -> str:
        """What is measured, without what it was measured of: ``1.00s``, ``96%``, ``4``."""
        number = _WHOLE.split(self.measured, maxsplit=1)[0]
        if time := _MS.fullmatch(number):
            return duration(float(time[1]))
        return number.replace(".0%", "%")

    @property
    def aside(self) -> str:
        """What is measured, for behind the words that claim it: ``96 of 100 affected traces``."""
        counted = _COUNTED.search(self.measured)
        return counted[1] if counted else self.short


def exhibit(case: Case, name: str) -> Exhibit:
    """That exhibit; UsageError, with those there are, for an unknown one."""
    check = case.scenario.exhibits.get(name)
    if check is None:
        known = ", ".join(case.scenario.exhibits) or "none"
        raise UsageError(f"expected an exhibit of the case, got {name!r}; there are: {known}")
    reference = case.evidence.reference_stats
    finding = check_finding(check, case.evidence, reference)
    # What is joined to several traces is one witness all the same.
    found = tuple({each.span.span_id: each for each in _witnesses(case, check)}.values())
    lines = check.lines(case.evidence) if isinstance(check, LogCheck) else ()
    return Exhibit(
        name,
        check.label,
        finding.expected,
        finding.measured,
        finding.outcome,
        found[:SHOWN],
        len(found) + len(lines),
        lines[:SHOWN],
        _place(check) if isinstance(check, LogCheck) else {},
    )


def may_be_seen(case: Case, ledger: Ledger) -> tuple[str, ...]:
    """The exhibits that a reader may know of: all of a closed case, the briefing's before."""
    if ledger.may_see_answers:
        return tuple(case.scenario.exhibits)
    return exhibits_in(case.scenario.briefing)


def seen(case: Case, ledger: Ledger, name: str) -> Exhibit:
    """That exhibit, if it is the reader's to see; NotEarned of an open case that hides it."""
    allowed = may_be_seen(case, ledger)
    if name not in allowed and not ledger.may_see_answers:
        there = ", ".join(allowed) or "none"
        raise NotEarned(
            f"expected an exhibit that {case.case_id} shows so far, got {name!r}; "
            f"there are: {there}"
        )
    return exhibit(case, name)


def with_measure(words: str, found: Exhibit) -> str:
    """The words, and behind them what was measured unless they say it: for a text to be kept."""
    return words if found.short in words else f"{words} ({found.aside})"


def told(text: str, case: Case, written: Written) -> str:
    """``text`` with its numbers measured in ``case``, and each link as ``written`` writes it."""
    measured = _measured_once(case)

    def shown(words: str, name: str) -> str:
        found = measured(name)
        return written(words.replace(MEASURED, found.short), found)

    return with_exhibits(text, shown)


def told_so_far(text: str, case: Case, ledger: Ledger, written: Written) -> str:
    """The same for a text that is read at any time: what is not to be seen yet is words alone."""
    allowed = may_be_seen(case, ledger)
    measured = _measured_once(case)

    def shown(words: str, name: str) -> str:
        if name not in allowed:
            return words.replace(MEASURED, "…")
        found = measured(name)
        return written(words.replace(MEASURED, found.short), found)

    return with_exhibits(text, shown)


def _measured_once(case: Case) -> Callable[[str], Exhibit]:
    """`exhibit`, for a text that may link to one a thousand times."""
    return cache(partial(exhibit, case))


def _place(check: LogCheck) -> Mapping[str, str]:
    """The filter of all lines that finds those of ``check``, and at most others like them."""
    asked = {
        "service": check.service,
        "severity": check.severity,
        "window": WINDOW_WORDS.get(check.window),
        "q": check.says,
    }
    return {name: value for name, value in asked.items() if value}


def _witnesses(case: Case, check: Check) -> Iterator[Witness]:
    predicate: Predicate | None = getattr(check, "predicate", None)
    if predicate is None:
        return
    sample: Sample = getattr(check, "sample", Sample.AFFECTED)
    reference = case.evidence.reference_stats
    for trace in case.evidence.whole_traces(sample):
        for span in predicate.matching(trace, reference):
            yield Witness(trace, span)
