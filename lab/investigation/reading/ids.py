"""From what a learner typed to the one trace or span that was meant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lab.domain import ids
from lab.domain.evidence import Evidence
from lab.domain.replay import Replay
from lab.domain.trace import Span, Trace
from lab.errors import UsageError


def resolve_trace(evidence: Evidence, typed: str, replays: Iterable[Replay] = ()) -> Trace:
    """The trace whose id begins so, here or in one of ``replays``; UsageError for none or several.

    Leading zeros may be missing, and a decimal id stands for its 64 bits (`lab.domain.ids`).
    The id of a request whose trace was never fetched is told apart from an unknown one.
    """
    names = (
        {each: each for each in evidence.traces},
        *(each.trace_ids(evidence.traces) for each in replays),
    )
    trace_id = _resolve(typed, names, "trace", "`lab traces` lists them")
    if trace_id is not None:
        return evidence.traces[trace_id]
    if ids.meant(_cleaned(typed), (request.trace_id for request in evidence.requests)):
        raise UsageError(
            f"expected a trace that is in the case folder, got {typed!r}: this request was made, "
            "but a case keeps only a sample of traces; `lab traces` lists those"
        )
    raise UsageError(
        f"expected a trace of this case, got {typed!r}, and none begins so; "
        "`lab traces` lists them, `--case` picks another case"
    )


def resolve_span(trace: Trace, typed: str, replays: Iterable[Replay] = ()) -> Span:
    """The span of ``trace`` whose id begins so, here or in one of ``replays``.

    UsageError for none or several.
    """
    how = f"`lab trace {trace.trace_id[:8]}` lists them"
    names = ({each: each for each in trace.by_id}, *(each.span_ids(trace) for each in replays))
    span_id = _resolve(typed, names, "span", how)
    if span_id is None:
        raise UsageError(
            f"expected a span of trace {trace.trace_id[:8]}…, got {typed!r}, "
            f"and none begins so; {how}"
        )
    return trace.by_id[span_id]


def _resolve(typed: str, names: Iterable[Mapping[str, str]], noun: str, how: str) -> str | None:
    """What the one id that was typed stands for, in the first of ``names`` that has any."""
    wanted = _cleaned(typed)
    if not wanted or not all(digit in "0123456789abcdef" for digit in wanted):
        raise UsageError(f"expected a {noun} id, which has hex digits only, got {typed!r}; {how}")
    for known in names:
        found = ids.meant(wanted, known)
        if len(found) > 1:
            shown = ", ".join(found[:3]) + (", …" if len(found) > 3 else "")
            raise UsageError(
                f"expected one {noun}, got {typed!r}, and {len(found)} begin so ({shown}); "
                "give more digits, leading zeros too"
            )
        if found:
            return known[found[0]]
    return None


def _cleaned(typed: str) -> str:
    return typed.strip().lower().rstrip("…")
