"""The log lines of a case, read for people: by service, severity and pattern. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Final

from lab.domain import evidence as kept
from lab.domain.evidence import Evidence
from lab.domain.trace import Event, Span, Trace
from lab.errors import UsageError
from lab.frozen import dataclass
from lab.investigation.reading.requests import WINDOW_WORDS
from lab.investigation.reading.span_words import value_text

_LEVELS: Final = ("level", "severity", "log.severity", "log.level")
"""What libraries call the level of a line that they write as an event of a span."""

BETWEEN: Final = "between"
"""Of what was written between two windows."""


@dataclass(frozen=True, slots=True)
class LogLine(kept.LogLine):
    """One record; ``window`` in a learner's words, None between two windows."""

    window: str | None


@dataclass(frozen=True, slots=True)
class LogPattern:
    """Lines that say the same, counted by window; ``example`` is the first of the incident."""

    service: str
    severity: str
    pattern: str
    before: int
    incident: int
    after: int
    example: LogLine

    @property
    def is_new(self) -> bool:
        """Whether the incident says it and nobody did before."""
        return self.incident > 0 and self.before == 0


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which lines are meant; a field that is None asks nothing.

    ``level`` is the mildest that counts. ``pattern`` stands in what lines of a kind have in
    common, ``text`` in a line itself or in its trace id.
    """

    service: str | None = None
    level: str | None = None
    window: str | None = None
    pattern: str | None = None
    text: str | None = None
    trace_id: str | None = None

    def choose(self, lines: Sequence[LogLine]) -> list[LogLine]:
        """Those of them, in their order; UsageError for a word that no line could have."""
        for option, word, words in (
            ("service", self.service, sorted({each.service for each in lines})),
            ("level", self.level and self.level.upper(), list(kept.SEVERITIES)),
            ("window", self.window, [*WINDOW_WORDS.values(), BETWEEN]),
        ):
            if word is not None and word not in words:
                known = ", ".join(words) or "none, for no line is kept"
                raise UsageError(f"expected --{option} to be one of {known}, got {word!r}")
        return [each for each in lines if self._fits(each)]

    def _fits(self, line: LogLine) -> bool:
        return (
            self.service in {None, line.service}
            and (self.level is None or _rank(line.severity) <= _rank(self.level.upper()))
            and self.window in {None, line.window or BETWEEN}
            and self.trace_id in {None, line.trace_id}
            and (self.pattern is None or self.pattern.lower() in line.pattern.lower())
            and (self.text is None or line.says(self.text) or self.text == line.trace_id)
        )


def read_logs(evidence: Evidence, lines: Iterable[str]) -> tuple[LogLine, ...]:
    """The lines in order of time; those that are no log record are left out."""
    read = (_line(evidence, line) for line in lines)
    return tuple(sorted((each for each in read if each), key=lambda each: each.time_unix_s))


def patterns(lines: Sequence[LogLine]) -> tuple[LogPattern, ...]:
    """What was said, the worst first: what is new in the incident, then what it says most."""
    grouped: dict[tuple[str, str, str], list[LogLine]] = {}
    for line in lines:
        grouped.setdefault((line.service, line.severity, line.pattern), []).append(line)
    found = [_pattern(key, group) for key, group in grouped.items()]
    found.sort(
        key=lambda each: (
            *(_rank(each.severity), not each.is_new),
            *(-each.incident, each.service, each.pattern),
        )
    )
    return tuple(found)


def _pattern(key: tuple[str, str, str], group: list[LogLine]) -> LogPattern:
    def count(word: str) -> int:
        return sum(line.window == word for line in group)

    example = next((line for line in group if line.window == "incident"), group[0])
    return LogPattern(*key, count("before"), count("incident"), count("after"), example)


def _rank(severity: str) -> int:
    return kept.SEVERITIES.index(severity) if severity in kept.SEVERITIES else len(kept.SEVERITIES)


def _line(evidence: Evidence, text: str) -> LogLine | None:
    line = kept.read_line(text)
    if line is None:
        return None
    told = {each.name: getattr(line, each.name) for each in fields(line)}
    return LogLine(**told, window=window_at(evidence, line.time_unix_s))


def window_at(evidence: Evidence, at_s: float) -> str | None:
    """``before``, ``incident`` or ``after`` of a moment in Unix seconds; None between two."""
    for window, word in WINDOW_WORDS.items():
        if window in evidence.windows and at_s in evidence.windows[window]:
            return word
    return None


def event_lines(evidence: Evidence, only: Trace | None = None) -> tuple[LogLine, ...]:
    """The events of all spans, or of one trace: what a stranger's traces have of a log."""
    traces = (only,) if only else evidence.traces.values()
    spans = (span for trace in traces for span in trace)
    found = (_event(evidence, span, event) for span in spans for event in span.events)
    return tuple(sorted(found, key=lambda each: each.time_unix_s))


def _event(evidence: Evidence, span: Span, event: Event) -> LogLine:
    told = {key.removeprefix("exception."): value for key, value in event.attributes.items()}
    words = [f"{key}={value_text(value)}" for key, value in told.items() if key != "stacktrace"]
    levels = (str(event.attributes[key]).upper() for key in _LEVELS if key in event.attributes)
    at_s = event.time_ns / 1e9
    return LogLine(
        time_unix_s=at_s,
        service=span.service,
        severity="ERROR" if event.name == "exception" else next(levels, "INFO"),
        body=" ".join((event.name, *words))[: kept.LONGEST_BODY],
        trace_id=span.trace_id,
        span_id=span.span_id,
        window=window_at(evidence, at_s),
    )
