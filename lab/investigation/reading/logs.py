"""The log lines of a case, read for people: by service, severity and pattern. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from lab.domain import evidence as kept
from lab.domain.evidence import Evidence
from lab.investigation.reading.requests import WINDOW_WORDS


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
