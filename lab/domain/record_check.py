"""Bounds of a case on what no span shows alone: records, log lines, and many spans together."""

from __future__ import annotations

from enum import StrEnum

from lab.domain.bound import Bound
from lab.domain.evidence import Evidence, LogLine, Sample
from lab.domain.journal import Step
from lab.domain.load import Request, RequestFilter, Window
from lab.domain.predicate import Predicate
from lab.frozen import dataclass


class Answered(StrEnum):
    """How a request ended, for its customer."""

    ANY = "any"
    SUCCESS = "success"
    REJECTION = "rejection"
    ERROR = "error"

    def covers(self, request: Request) -> bool:
        """Whether ``request`` ended so."""
        match self:
            case Answered.ANY:
                return True
            case Answered.SUCCESS:
                return 200 <= request.status < 400
            case Answered.REJECTION:
                return request.is_rejected
            case Answered.ERROR:
                return request.is_server_error


@dataclass(frozen=True, slots=True)
class RecordShareCheck:
    """The share of a window's requests of which the number of ``records`` obeys ``each``."""

    label: str
    records: str
    each: Bound
    bound: Bound
    of: RequestFilter
    answered: Answered = Answered.ANY
    window: Window = Window.CRIME
    step: Step = Step.CRIME


@dataclass(frozen=True, slots=True)
class RecordCountCheck:
    """How many ``records`` were found in the whole run."""

    label: str
    records: str
    bound: Bound
    step: Step = Step.CRIME


@dataclass(frozen=True, slots=True)
class RecordRatioCheck:
    """In a window, so many times as many ``records`` as ``to``, or as requests without it.

    Of a counter it is by how much it grew; of lines and finds, how many belong to requests.
    """

    label: str
    records: str
    bound: Bound
    of: RequestFilter
    to: str | None = None
    window: Window = Window.CRIME
    step: Step = Step.CRIME


@dataclass(frozen=True, slots=True)
class SpanRecordedCheck:
    """The share of a sample's traces with a span whose ``attribute`` is some record's ``entry``."""

    label: str
    predicate: Predicate
    attribute: str
    records: str
    entry: str
    bound: Bound
    sample: Sample = Sample.AFFECTED
    step: Step = Step.CRIME


class LineOf(StrEnum):
    """What became of the span that a log line was written in."""

    KEPT = "kept"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class LogCheck:
    """How many log lines of a window say so, or in what share of a sample's traces one does.

    Which lines is asked by service, severity (``ERROR``) and ``says``, which stands in the body
    or in its pattern (`LogLine.pattern`); a field that is None asks nothing. With a ``sample``
    only lines of its whole traces count, and a share is of these traces. ``span`` asks whether
    the span that a line names came.
    """

    label: str
    bound: Bound
    service: str | None = None
    severity: str | None = None
    says: str | None = None
    span: LineOf | None = None
    sample: Sample | None = None
    window: Window = Window.CRIME
    step: Step = Step.CRIME

    def lines(self, evidence: Evidence) -> tuple[LogLine, ...]:
        """The lines that are meant, in order of time."""
        window = evidence.windows.get(self.window)
        traces = None
        if self.sample is not None:
            traces = {trace.trace_id for trace in evidence.whole_traces(self.sample)}
        return tuple(
            line
            for line in evidence.log_lines
            if window is not None
            and line.time_unix_s in window
            and self._fits(line)
            and (traces is None or line.trace_id in traces)
            and (self.span is None or self.span is _line_of(line, evidence))
        )

    def _fits(self, line: LogLine) -> bool:
        return (
            self.service in {None, line.service}
            and self.severity in {None, line.severity}
            and (self.says is None or line.says(self.says))
        )


def _line_of(line: LogLine, evidence: Evidence) -> LineOf | None:
    """None of a line that was written in no span, or in one of a trace that is not kept."""
    trace = evidence.trace(line.trace_id) if line.trace_id else None
    if trace is None or line.span_id is None:
        return None
    return LineOf.LOST if trace.span(line.span_id) is None else LineOf.KEPT


RecordCheck = RecordShareCheck | RecordCountCheck | RecordRatioCheck | SpanRecordedCheck | LogCheck
"""What is counted in records and lines; a closed list."""


class Timing(StrEnum):
    """What the starts of spans are asked for.

    ``first`` and ``last`` count from the start of the window; ``period`` is the median time
    from the beginning of one bunch to that of the next.
    """

    FIRST = "first"
    LAST = "last"
    PERIOD = "period"


@dataclass(frozen=True, slots=True)
class SpanTimingCheck:
    """When the matching spans of ``sample`` start, in ms.

    A span that starts ``apart_ms`` or more after the one before it begins another bunch.
    """

    label: str
    predicate: Predicate
    timing: Timing
    bound: Bound
    apart_ms: float = 1000.0
    sample: Sample = Sample.AFFECTED
    window: Window = Window.CRIME
    step: Step = Step.CRIME


@dataclass(frozen=True, slots=True)
class SpanValuesCheck:
    """How many different values ``attribute`` has in the matching spans of ``sample``.

    A span without it has none.
    """

    label: str
    predicate: Predicate
    attribute: str
    bound: Bound
    sample: Sample = Sample.AFFECTED
    step: Step = Step.CRIME


@dataclass(frozen=True, slots=True)
class SpanShareCheck:
    """What share of its root's duration the matching spans of a trace take together.

    Their durations are added up, so spans that run at once may come to more than all of it;
    ``bound`` is on the median over the traces of ``sample``.
    """

    label: str
    predicate: Predicate
    bound: Bound
    sample: Sample = Sample.AFFECTED
    step: Step = Step.CRIME


SpanCheck = SpanTimingCheck | SpanValuesCheck | SpanShareCheck
"""What many spans tell together; a closed list."""
