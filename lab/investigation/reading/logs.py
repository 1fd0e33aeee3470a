"""The log lines of a case, read for people: by service, severity and pattern. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Final

from lab.domain import evidence as kept
from lab.domain.evidence import Evidence
from lab.domain.trace import Event, Span
from lab.investigation.reading.requests import WINDOW_WORDS
from lab.investigation.reading.span_words import value_text

_LEVELS: Final = ("level", "severity", "log.severity", "log.level")
"""What libraries call the level of a line that they write as an event of a span."""


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


def read_logs(evidence: Evidence, lines: Iterable[str]) -> tuple[LogLine, ...]:
    """The lines in order of time; those that are no log record are left out."""
    read = (_line(evidence, line) for line in lines)
    return tuple(sorted((each for each in read if each), key=lambda each: each.time_unix_s))


def patterns(lines: Sequence[LogLine]) -> tuple[LogPattern, ...]:
    """What was said, the worst and then the most frequent of the incident first."""
    grouped: dict[tuple[str, str, str], list[LogLine]] = {}
    for line in lines:
        grouped.setdefault((line.service, line.severity, line.pattern), []).append(line)
    found = [_pattern(key, group) for key, group in grouped.items()]
    found.sort(key=lambda each: (_rank(each.severity), -each.incident, each.service))
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
    return LogLine(**told, window=_window(evidence, line.time_unix_s))


def _window(evidence: Evidence, at_s: float) -> str | None:
    for window, word in WINDOW_WORDS.items():
        if window in evidence.windows and at_s in evidence.windows[window]:
            return word
    return None


def event_lines(evidence: Evidence) -> Iterator[str]:
    """The events of all spans as log lines, each as JSON: what such traces have of a log."""
    for trace in evidence.traces.values():
        for span in trace:
            for event in span.events:
                yield json.dumps(_event(span, event))


def _event(span: Span, event: Event) -> dict[str, object]:
    is_exception = event.name == "exception"
    told = {key.removeprefix("exception."): value for key, value in event.attributes.items()}
    words = [f"{key}={value_text(value)}" for key, value in told.items() if key != "stacktrace"]
    levels = (str(event.attributes[key]) for key in _LEVELS if key in event.attributes)
    return {
        "time_unix_s": event.time_ns / 1e9,
        "service": span.service,
        "severity": "ERROR" if is_exception else next(levels, "INFO"),
        "body": " ".join((event.name, *words)),
        "trace_id": span.trace_id,
        "span_id": span.span_id,
    }
