"""``expect(spans).to_have(…)``: at once, until it holds, or for as long as it must hold."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from lab.domain.bound import Bound, Unit
from lab.domain.predicate import Predicate
from lab.domain.proof import Outcome
from lab.domain.reference import ReferenceStats
from lab.domain.trace import Span
from lab.domain.wording import unknown_name
from lab.errors import UsageError
from lab.testing import report, semantic, tree, tree_update
from lab.testing.check import NONE, SOME, Check
from lab.testing.source import Spans, TraceSet, look_at
from lab.testing.waiting import Ask, Verdict, rounds
from lab.testing.words import bound, predicate, span

__tracebackhide__ = True
"""A failure is shown at the test's own line, not at ours."""

SpanWords = Predicate | Mapping[str, Any] | str
BoundWords = Bound | str | int
Baseline = ReferenceStats | Spans | Path | str

_VERBS: Final = ("exists", "absent", "count")
_ASSERTION: Final = (*_VERBS, "bound", "traces")

Came = TypeVar("Came", covariant=True)


def expect(
    spans: Spans,
    *,
    within_s: float | None = None,
    throughout_s: float = 0.0,
    baseline: Baseline | None = None,
) -> Expectation:
    """What ``spans`` are expected to show.

    With ``within_s`` it has so long to come to hold; by default no time in this process, and as
    long as its source says elsewhere. With ``throughout_s`` it has to go on holding for so long
    after that. ``baseline`` is what ``2x reference`` is measured by: traces, or a file of them.
    """
    return Expectation(spans, within_s, throughout_s, _reference(baseline))


def async_expect(
    spans: Spans,
    *,
    within_s: float | None = None,
    throughout_s: float = 0.0,
    baseline: Baseline | None = None,
) -> AsyncExpectation:
    """Expect the same as `expect` does, each expectation awaited.

    While it waits, the other tasks of the event loop go on: those that make the spans.
    """
    return AsyncExpectation(spans, within_s, throughout_s, _reference(baseline))


def match_tree(spans: Spans, text: str, *, within_s: float | None = None) -> None:
    """Expect the traces to be as ``text`` draws them, whatever the order of concurrent siblings.

    See `lab.testing.tree` for how it is drawn: a line a span, what is deeper stands below,
    ``...`` where there may be more. ``pytest --spans-update`` writes it anew where it differs.
    """
    expect(spans, within_s=within_s).to_match_tree(text)


def assert_semantic(
    spans: Spans, *, ignore: Sequence[str] = (), within_s: float | None = None
) -> None:
    """Expect the conventions of good telemetry to be followed: see `lab.testing.semantic`.

    Names without ids, ``error.type`` with every error and with nothing else, no personal data,
    no orphan and one root a trace. ``ignore`` names rules that are not to count.
    """
    expect(spans, within_s=within_s).to_be_semantic(ignore=ignore)


class _Words(ABC, Generic[Came]):
    """What may be expected; each returns the spans that matched."""

    def __init__(
        self, spans: Spans, within_s: float | None, throughout_s: float, reference: ReferenceStats
    ) -> None:
        self._spans = spans
        patience_s: float = getattr(spans, "patience_s", 0.0)
        self._within_s = patience_s if within_s is None else within_s
        self._throughout_s = throughout_s
        self._reference = reference

    def to_have(
        self,
        what: SpanWords | None = None,
        *,
        count: BoundWords = SOME,
        traces: BoundWords | None = None,
        **words: Any,
    ) -> Came:
        """So many spans are ``what``: in all, or with ``traces`` in so many of them each.

        ``what`` is a `span`, a mapping of a scenario file's words, a name, or those words as
        keywords: ``to_have(span("SELECT"), count="<= 2", traces=">= 95%")``.
        """
        return self._settle(self._asking(_check(_wanted(what, words), count, traces)))

    def not_to_have(
        self, what: SpanWords | None = None, *, traces: BoundWords | None = None, **words: Any
    ) -> Came:
        """No span is ``what``; with ``traces`` in so many of them."""
        return self._settle(self._asking(_check(_wanted(what, words), NONE, traces)))

    def to_hold(self, *assertions: Mapping[str, Any]) -> Came:
        """All of ``assertions``, as a file writes them; those that do not hold are told at once.

        Each has one of ``exists``, ``absent`` and ``count`` (beside a ``bound``), and perhaps
        ``traces``: ``{"exists": {"name": "charge", "status": "error"}, "traces": ">= 95%"}``.
        """
        return self._settle(_all(map(self._asking, map(_assertion, assertions))))

    def to_match_tree(self, text: str) -> Came:
        """The traces are as ``text`` draws them; see `lab.testing.tree`."""
        expected = tree.read(text)

        def ask(found: TraceSet) -> Verdict:
            outcome, told = tree.compare(expected, found)
            return Verdict(
                outcome, tuple(found), told, lambda: tree_update.written_anew(text, expected, found)
            )

        return self._settle(ask)

    def to_be_semantic(self, *, ignore: Sequence[str] = ()) -> Came:
        """The spans follow the conventions of `lab.testing.semantic`, but for rules to ignore."""

        def ask(found: TraceSet) -> Verdict:
            outcome, told = semantic.judge(found, ignore)
            return Verdict(outcome, tuple(found), told)

        return self._settle(ask)

    def _asking(self, check: Check) -> Ask:
        def ask(found: TraceSet) -> Verdict:
            answer = check.answer(found, self._reference)
            told = lambda: report.told(check, answer, found, self._reference)  # noqa: E731
            return Verdict(answer.outcome, answer.spans, told)

        return ask

    @abstractmethod
    def _settle(self, ask: Ask) -> Came:
        """Look until it is settled, and raise where it does not hold."""


class Expectation(_Words[tuple[Span, ...]]):
    """What spans are expected to show."""

    def _settle(self, ask: Ask) -> tuple[Span, ...]:
        waiting = rounds(self._spans, ask, self._within_s, self._throughout_s)
        while True:
            try:
                time.sleep(next(waiting))
            except StopIteration as settled:
                found: tuple[Span, ...] = settled.value
                return found


class AsyncExpectation(_Words[Awaitable[tuple[Span, ...]]]):
    """What spans are expected to show, while an event loop goes on."""

    async def _settle(self, ask: Ask) -> tuple[Span, ...]:
        waiting = rounds(self._spans, ask, self._within_s, self._throughout_s)
        while True:
            try:
                pause_s = next(waiting)
            except StopIteration as settled:
                found: tuple[Span, ...] = settled.value
                return found
            await asyncio.sleep(pause_s)


def _all(asks: Any) -> Ask:
    every = tuple(asks)

    def ask(found: TraceSet) -> Verdict:
        verdicts = [each(found) for each in every]
        lacking = [each for each in verdicts if each.outcome is not Outcome.HOLDS]
        outcomes = {each.outcome for each in lacking}
        outcome = Outcome.FAILS if Outcome.FAILS in outcomes else Outcome.UNKNOWN
        return Verdict(
            outcome if lacking else Outcome.HOLDS,
            tuple(span for each in verdicts for span in each.spans),
            lambda: "\n\n".join(each.told() for each in lacking),
        )

    return ask


def _wanted(what: SpanWords | None, words: Mapping[str, Any]) -> Predicate:
    if what is None:
        return span(**words)
    if words:
        raise UsageError(
            f"expected a span or words for one, got both: {what} and {', '.join(words)}"
        )
    return predicate(what)


def _assertion(words: Mapping[str, Any]) -> Check:
    for word in words:
        if word not in _ASSERTION:
            raise UsageError(unknown_name("word for an assertion", str(word), _ASSERTION))
    verbs = [verb for verb in _VERBS if verb in words]
    if len(verbs) != 1 or ("bound" in words) is not (verbs == ["count"]):
        raise UsageError(
            f"expected one of exists, absent, and count with a bound, got {', '.join(words)}"
        )
    count = {"exists": SOME, "absent": NONE, "count": words.get("bound")}[verbs[0]]
    assert count is not None
    return _check(predicate(words[verbs[0]]), count, words.get("traces"))


def _check(wanted: Predicate, count: BoundWords, traces: BoundWords | None) -> Check:
    in_traces = None if traces is None else bound(traces, None, "traces")
    if in_traces is not None and (in_traces.unit is Unit.DURATION or in_traces.needs_reference):
        raise UsageError(f"traces: expected a number or a share such as '>= 95%', got {traces!r}")
    return Check(wanted, bound(count, Unit.NUMBER, "count"), in_traces)


def _reference(baseline: Baseline | None) -> ReferenceStats:
    if baseline is None:
        return ReferenceStats()
    if isinstance(baseline, ReferenceStats):
        return baseline
    if isinstance(baseline, str | Path):
        from lab.testing.files import from_file

        return from_file(baseline).reference()
    return look_at(baseline).reference()
