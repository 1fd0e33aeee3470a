"""Log lines counted by what they say, and chosen by any of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lab.domain.load import Window
from lab.errors import UsageError
from lab.investigation.reading.logs import LogLine, LogQuery, patterns, read_logs
from tests.support.sample_case import sample_case

EVIDENCE = sample_case().evidence


def line(window: Window, said: str, severity: str = "INFO", **more: Any) -> str:
    at_s = EVIDENCE.windows[window].start_s + 0.5
    told = {"time_unix_s": at_s, "service": "auth", "severity": severity, "body": said}
    return json.dumps({**told, **more})


LINES = read_logs(
    EVIDENCE,
    [
        line(Window.REFERENCE, "user 17 came from 10.0.0.7:4242"),
        line(Window.CRIME, "user 18 came from 10.0.0.8:4243"),
        line(Window.CRIME, "user 19 came from 10.0.0.9:1"),
        line(Window.REFERENCE, "cache miss 0x1f", "WARNING"),
        line(Window.CRIME, "cache miss 0x2f", "WARN"),
        line(Window.CRIME, "pool of 5 is empty", "WARN", service="checkout", trace_id="ab" * 16),
        line(Window.RECOVERY, "gave up order 8d3f1a52-0c1e-4b7a-9d21-0f6a5b4c3d2e", "ERROR"),
    ],
)


def told(found: list[LogLine]) -> list[str]:
    return [each.body.split()[0] for each in found]


def test_the_worst_come_first_and_of_them_what_nobody_said_before() -> None:
    """Ids, numbers and addresses do not tell lines apart."""
    found = patterns(LINES)
    assert [(each.pattern, each.before, each.incident, each.after) for each in found] == [
        ("gave up order #", 0, 0, 1),
        ("pool of # is empty", 0, 1, 0),
        ("cache miss #", 1, 1, 0),
        ("user # came from #", 1, 2, 0),
    ]
    assert [each.is_new for each in found] == [False, True, False, False]


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ({}, 7),
        ({"service": "checkout"}, 1),
        ({"level": "warn"}, 4),
        ({"level": "ERROR"}, 1),
        ({"window": "incident"}, 4),
        ({"window": "between"}, 0),
        ({"pattern": "USER # came"}, 3),
        ({"pattern": "user 17"}, 0),
        ({"text": "user 17"}, 1),
        ({"text": "ab" * 16}, 1),
        ({"trace_id": "ab" * 16}, 1),
        ({"service": "auth", "level": "warn", "window": "before"}, 1),
    ],
)
def test_lines_are_chosen_by_any_of_it(asked: dict[str, str], count: int) -> None:
    """A level counts with all that are worse."""
    assert len(LogQuery(**asked).choose(LINES)) == count


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        ({"service": "bank"}, "expected --service to be one of auth, checkout, got 'bank'"),
        ({"level": "bad"}, "expected --level to be one of FATAL, ERROR, WARN, INFO, DEBUG"),
        ({"window": "crime"}, "expected --window to be one of before, incident, after, between"),
    ],
)
def test_a_word_that_no_line_could_have_is_refused(asked: dict[str, str], complaint: str) -> None:
    """An empty list would say that nothing was written."""
    with pytest.raises(UsageError, match=complaint):
        LogQuery(**asked).choose(LINES)


def test_of_a_case_without_lines_no_service_is_known() -> None:
    """And nothing is said of it without a filter."""
    assert LogQuery().choose([]) == []
    with pytest.raises(UsageError, match="none, for no line is kept"):
        LogQuery(service="auth").choose([])
