"""From what a learner typed to the one trace or span that was meant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lab.domain.evidence import Evidence
from lab.domain.replay import Replay
from lab.domain.trace import Span, Trace
from lab.errors import UsageError


def resolve_trace(evidence: Evidence, prefix: str, replays: Iterable[Replay] = ()) -> Trace:
    """The trace whose id begins so, here or in one of ``replays``; UsageError for none or several.

    The id of a request whose trace was never fetched is told apart from an unknown one.
    """
    names = (
        {each: each for each in evidence.traces},
        *(each.trace_ids(evidence.traces) for each in replays),
    )
    trace_id = _resolve(prefix, names, "trace", "`lab traces` lists them")
    if trace_id is not None:
        return evidence.traces[trace_id]
    requests = [request for request in evidence.requests if request.trace_id.startswith(prefix)]
    if requests:
        raise UsageError(
            f"expected a trace that is in the case folder, got {prefix!r}: this request was made, "
            "but a case keeps only a sample of traces; `lab traces` lists those"
        )
    raise UsageError(
        f"expected a trace of this case, got {prefix!r}, and none begins so; "
        "`lab traces` lists them, `--case` picks another case"
    )


def resolve_span(trace: Trace, prefix: str, replays: Iterable[Replay] = ()) -> Span:
    """The span of ``trace`` whose id begins so, here or in one of ``replays``.

    UsageError for none or several.
    """
    how = f"`lab trace {trace.trace_id[:8]}` lists them"
    names = ({each: each for each in trace.by_id}, *(each.span_ids(trace) for each in replays))
    span_id = _resolve(prefix, names, "span", how)
    if span_id is None:
        raise UsageError(
            f"expected a span of trace {trace.trace_id[:8]}…, got {prefix!r}, "
            f"and none begins so; {how}"
        )
    return trace.by_id[span_id]


def _resolve(prefix: str, names: Iterable[Mapping[str, str]], noun: str, how: str) -> str | None:
    """What the one id that begins so stands for, in the first of ``names`` that has any."""
    wanted = prefix.strip().lower().rstrip("…")
    if not wanted or not all(digit in "0123456789abcdef" for digit in wanted):
        raise UsageError(f"expected a {noun} id, which has hex digits only, got {prefix!r}; {how}")
    for ids in names:
        found = [each for each in ids if each.startswith(wanted)]
        if len(found) > 1:
            shown = ", ".join(found[:3]) + (", …" if len(found) > 3 else "")
            raise UsageError(
                f"expected one {noun}, got {prefix!r}, and {len(found)} begin so ({shown}); "
                "give more digits"
            )
        if found:
            return ids[found[0]]
    return None
