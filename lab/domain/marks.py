"""What the shape of a trace says: of a span, and of whether the trace can be reasoned about."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from lab.domain.trace import Kind, Span, Status, Trace


class Seal(StrEnum):
    """How far a trace can be trusted; proof and judge count *sealed* ones alone."""

    SEALED = "sealed"
    ARRIVING = "still arriving"
    PARENT_NEVER_CAME = "parent never came"
    NOT_ONE_TREE = "not one tree"


def seal_of(trace: Trace | None, *, is_growing: bool = False) -> Seal:
    """The seal of what came of a trace; ``is_growing`` where a second look found more spans.

    A case is opened only after its traces have stopped growing, so in a case file nothing
    grows, and whatever is not whole there will never be.
    """
    if trace is None or not trace.by_id or is_growing:
        return Seal.ARRIVING
    if trace.is_whole:
        return Seal.SEALED
    return Seal.PARENT_NEVER_CAME if trace.missing_parents else Seal.NOT_ONE_TREE


def why(trace: Trace | None, seal: Seal, speakers: frozenset[str] = frozenset()) -> str:
    """The seal's reason, in a sentence with its numbers.

    ``speakers`` are the services that usually send spans: where one of them was called and
    sent none, nothing that is named is missing, and yet something is not there.
    """
    if trace is None or seal is Seal.ARRIVING:
        return "Nothing of it has come yet, or more spans came while one looked."
    count = len(trace.by_id)
    if seal is Seal.SEALED:
        return _why_sealed(trace, speakers)
    if seal is Seal.PARENT_NEVER_CAME:
        missing = sorted(trace.missing_parents)
        shown = ", ".join(missing[:3]) + (", …" if len(missing) > 3 else "")
        are = "span is" if len(missing) == 1 else "spans are"
        return f"{len(missing)} {are} named as parent and never came: {shown}."
    if trace.is_cyclic:
        return "A span is its own ancestor."
    return f"{len(trace.roots)} of its {count} spans name no parent, where one should."


def _why_sealed(trace: Trace, speakers: frozenset[str]) -> str:
    count = len(trace.by_id)
    every = "Its only span is the root" if count == 1 else f"All {count} spans hang on one root"
    silent = silent_callees(trace, speakers)
    if not silent:
        return f"{every}, none is missing, and no more came."
    told = " and ".join(
        f"{peer}, which {caller} called, sent none" for peer, caller in silent.items()
    )
    usually = "usually sends" if len(silent) == 1 else "usually send"
    who = "it" if len(silent) == 1 else "they"
    return f"{every}, and no span names one that is missing. But {told}; {who} {usually} spans."


DEADLINE_NS: Final = 5_000_000
"""What is cancelled ends this close to the deadline that cancelled it."""


def cut_by(trace: Trace) -> Mapping[str, Span]:
    """Id of each span that a deadline cut short → the span above it whose time was up.

    That is an ancestor in the same service that failed with a timeout, with which the span
    ended although nothing says that it failed itself: a cancelled piece of work reports
    no error.
    """
    timed_out: dict[str, Span | None] = {}
    cut: dict[str, Span] = {}
    level = list(trace.tops)
    timed_out.update({span.span_id: None for span in level})
    while level:
        span = level.pop()
        for child in trace.children(span):
            above = span if _is_timed_out(span) else timed_out[span.span_id]
            above = above if above is not None and above.service == child.service else None
            timed_out[child.span_id] = above
            if above is not None and _ended_with(child, above):
                cut[child.span_id] = above
            level.append(child)
    return cut


def _ended_with(span: Span, above: Span) -> bool:
    return span.status is not Status.ERROR and abs(span.end_ns - above.end_ns) <= DEADLINE_NS


def _is_timed_out(span: Span) -> bool:
    names = (each.rpartition(".")[2] for each in span.exceptions)
    return span.status is Status.ERROR and any("Timeout" in name for name in names)


def clocks_apart_ms(trace: Trace, span: Span) -> float:
    """By how much the clocks of a span and its caller differ at least, in ms; mostly 0.

    An effect that starts before its cause was timed by another clock. What one process
    says of itself is timed by one.
    """
    parent = trace.parent(span)
    if parent is None or parent.service == span.service or span.is_undated:
        return 0.0
    return max(0, parent.start_ns - span.start_ns) / 1e6


def most_apart_ms(trace: Trace) -> float:
    """By how much, at least, clocks of the trace are apart, in ms; 0 where nothing shows it."""
    return max((clocks_apart_ms(trace, span) for span in trace), default=0.0)


def silent_callees(trace: Trace, speakers: frozenset[str]) -> Mapping[str, str]:
    """Each of the ``speakers`` that was called and sent no span of the call → who called it."""
    return {
        str(span.peer): span.service for span in trace if is_silent_callee(trace, span, speakers)
    }


def is_silent_callee(trace: Trace, span: Span, speakers: frozenset[str]) -> bool:
    """Whether it calls one of the ``speakers`` and no span of that call came."""
    return span.peer in speakers and is_wire_or_callee(trace, span)


def is_wire_or_callee(trace: Trace, span: Span) -> bool:
    """Whether it calls somebody of whom no span came: the time went on the wire or over there."""
    return span.kind is Kind.CLIENT and not any(
        child.kind is Kind.SERVER for child in trace.children(span)
    )
