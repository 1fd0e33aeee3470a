"""A case as an agent may see it: telemetry and a briefing, without truth, decoys or hints.

The tools know nothing else, so what is not in here no answer can tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cached_property

from lab.domain.evidence import Evidence
from lab.domain.load import Request
from lab.domain.trace import Trace
from lab.frozen import dataclass
from lab.investigation.reading.logs import LogLine, read_logs, window_at
from lab.investigation.reading.requests import WINDOW_WORDS


@dataclass(frozen=True)
class Dossier:
    """``briefing`` is Markdown; ``evidence`` has no joins, no records, and no reasons to keep."""

    case_id: str
    title: str
    briefing: str
    asks_scope: bool
    evidence: Evidence

    @cached_property
    def lines(self) -> tuple[LogLine, ...]:
        """The log lines, in order of time."""
        return read_logs(self.evidence, self.evidence.logs)

    @cached_property
    def requests(self) -> Mapping[str, Request]:
        """Trace id → the request, of the windows that have a word."""
        return {
            each.trace_id: each for each in self.evidence.requests if each.window in WINDOW_WORDS
        }

    @cached_property
    def traces(self) -> tuple[Trace, ...]:
        """Every trace that is kept, in order of time."""
        found = (trace for trace in self.evidence.traces.values() if trace.spans)
        return tuple(sorted(found, key=lambda each: (each.spans[0].start_ns, each.trace_id)))

    def period(self, trace: Trace) -> str | None:
        """``before``, ``incident`` or ``after``; None between two of them."""
        request = self.requests.get(trace.trace_id)
        if request is not None:
            return WINDOW_WORDS[request.window]
        return window_at(self.evidence, trace.spans[0].start_ns / 1e9)


def bare(evidence: Evidence) -> Evidence:
    """The evidence less what its scenario searched for or counted."""
    return Evidence(
        evidence.windows,
        evidence.requests,
        evidence.samples,
        evidence.traces,
        logs=evidence.logs,
    )


def moment(unix_s: float) -> str:
    """RFC 3339, in UTC, to the microsecond."""
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def spans_said(dossier: Dossier) -> Iterator[str]:
    """Every attribute that spans carry, as ``span.<key>`` or ``resource.<key>``, each once."""
    found = {f"span.{key}" for trace in dossier.traces for span in trace for key in span.attributes}
    of = {f"resource.{key}" for trace in dossier.traces for span in trace for key in span.resource}
    yield from sorted(found | of)
