"""Regular expressions of agents: RE2's, and no one of them holds a call for long."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from lab.mcp.patterns import Pattern
from lab.mcp.tempo import BeyondTheCase, conditions
from tests.support.agents import AgentsRoom, refused, told
from tests.support.sample_case import sample_case

ENDLESS = ("(a+)+$", "(a|a)*b", "(a|aa)+$", "(.*)*x", "(a*)*b", "([a-z]+)*!", "(a?){50}a{50}")
"""With Python's own module each takes years for the text below, or hours."""


@pytest.mark.parametrize("text", ENDLESS)
def test_no_expression_takes_longer_than_its_text(text: str) -> None:
    """A megabyte of what it nearly fits is looked through at once."""
    began_s = time.process_time()
    pattern = Pattern(text)
    pattern.is_in("a" * 2**20 + "?")
    pattern.is_all_of("a" * 2**20 + "?")
    assert time.process_time() - began_s < 2


@pytest.mark.parametrize(
    ("text", "found", "is_in", "is_all_of"),
    [
        ("auth", "the auth service", True, False),
        ("auth", "auth", True, True),
        ("(?i)AUTH|x", "auth", True, True),
        ("^POST /.*", "POST /checkout", True, True),
        (r"\d+", "v12", True, False),
        ("ü.", "aüb", True, False),
        ("", "", True, True),
        ("a.", "a\ud800", True, True),
        ("b", "a", False, False),
    ],
)
def test_what_fits(text: str, found: str, is_in: bool, is_all_of: bool) -> None:
    """As in any language; half a letter counts as one."""
    pattern = Pattern(text)
    assert (pattern.is_in(found), pattern.is_all_of(found)) == (is_in, is_all_of)


@pytest.mark.parametrize("text", ["(", "[", "a**", "(?=a)", r"\1", "a{1001}", "\ud800"])
def test_what_is_no_expression_is_refused(text: str, capfd: pytest.CaptureFixture[str]) -> None:
    """What RE2 has not is none either; nothing is printed of it."""
    with pytest.raises(ValueError, match=r"expected an expression|surrogates"):
        Pattern(text)
    assert capfd.readouterr().err == ""


def test_a_tool_says_of_which_kind_they_are(tmp_path: Path) -> None:
    """In its schema, and where one is refused."""
    desk = AgentsRoom(tmp_path, sample_case(level=1))
    assert "pattern: expected a regular expression (RE2)" in refused(
        desk.room, "get_services", pattern="(?=a)"
    )
    assert told(desk.room, "get_services", pattern="^a.*h$")["services"] == ["auth"]


@pytest.mark.parametrize("query", ["{ status =~ error }", "{ name =~ 5 }", '{ name !~ "(" }'])
def test_a_query_asks_for_a_text_in_quotes(query: str) -> None:
    """As TraceQL does."""
    with pytest.raises(BeyondTheCase):
        conditions(query)
