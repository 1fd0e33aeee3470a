"""The log lines of a case, read for people: by service, severity and pattern. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lab.domain.evidence import Evidence
from lab.investigation.reading.requests import WINDOW_WORDS

SEVERITIES: Final = ("FATAL", "ERROR", "WARN", "INFO", "DEBUG")
"""Worst first; what a service calls otherwise is none of these and comes last."""

LONGEST_BODY: Final = 2_000

_VARYING: Final = re.compile(
    "|".join(
        (
            r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b",  # An id of an order.
            r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b",  # An address, with its port.
            r"\[[0-9a-f]*:[0-9a-f:.]*\](?::\d+)?",
            r"\b0x[0-9a-f]+\b",
            r"\b(?=[a-f]*\d)[0-9a-f]{6,}\b",  # A short id; a word of six such letters has no digit.
            r"\b[0-9a-f]{8,}\b",
            r"\d+(?:\.\d+)?",
        )
    ),
    re.IGNORECASE,
)
"""What differs from line to line, the longest first, so that an id is one mark and not five."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One record; ``window`` in a learner's words, None between two windows."""

    time_unix_s: float
    service: str
    severity: str
    body: str
    trace_id: str | None
    span_id: str | None
    window: str | None

    @property
    def pattern(self) -> str:
        """The body without what differs from line to line."""
        return _VARYING.sub("#", self.body.partition("\n")[0])


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
    return SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES)


def _line(evidence: Evidence, text: str) -> LogLine | None:
    try:
        record: dict[str, Any] = json.loads(text)
        at_s = float(record["time_unix_s"])
        return LogLine(
            time_unix_s=at_s,
            service=str(record.get("service") or "?"),
            severity=_severity(str(record.get("severity") or "")),
            body=str(record.get("body") or "")[:LONGEST_BODY],
            trace_id=_id(record.get("trace_id")),
            span_id=_id(record.get("span_id")),
            window=_window(evidence, at_s),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _severity(word: str) -> str:
    return {"WARNING": "WARN", "CRITICAL": "FATAL"}.get(word.upper(), word.upper() or "?")


def _id(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _window(evidence: Evidence, at_s: float) -> str | None:
    for window, word in WINDOW_WORDS.items():
        if window in evidence.windows and at_s in evidence.windows[window]:
            return word
    return None
