"""The words for a span are a scenario file's, and mean the same."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any

import pytest

from lab.domain.predicate import Predicate
from lab.scenario_file.checks import PredicateEntry
from lab.testing import PRESENT, span
from lab.testing.words import WORDS

SAID: dict[str, Any] = {
    "service": "payments",
    "name": "charge",
    "kind": "client",
    "status": "error",
    "peer": "bank",
    "exception": "TimeoutError",
    "attributes": {"a": 1, "b": "x", "c": True, "d": ">= 3", "e": 1.5},
    "no_attributes": ["f"],
    "duration": ">= 350ms",
    "self_time": ">= 10x reference",
    "wire_time": "1ms..2s",
    "ends_after_parent": "> 0ms",
    "repeats": ">= 2",
    "at_once": "== 3",
    "links": "== 1",
    "root": False,
    "deepest_error": True,
    "parent": {"name": "p"},
    "ancestor": {"root": True},
    "child": {"status": "unset"},
    "no_child": {"kind": "server"},
    "no_joined": {"name": "j"},
    "link": {"service": "gateway"},
    "has_attributes": ["tenant"],
    "event": "cancelled",
    "message": "declined",
}


def test_every_word_is_there_in_both() -> None:
    """A word that the file learns is one for tests, and the other way round."""
    assert set(WORDS) == set(PredicateEntry.model_fields)
    assert {each.name for each in fields(Predicate)} == set(WORDS) - {"has_attributes"}
    assert set(SAID) == set(WORDS)


@pytest.mark.parametrize("word", SAID)
def test_each_word_means_the_same_in_both(word: str) -> None:
    """And says so of itself in the same text."""
    said = {word: SAID[word]}
    in_a_file = PredicateEntry.model_validate(said).predicate()
    assert span(**said) == in_a_file
    assert str(span(**said)) == str(in_a_file) != "any span"


def test_only_python_says_patterns_and_presence() -> None:
    """A stranger's pattern could keep a reader of scenarios busy for ever."""
    one = span(attributes={"a": re.compile("^x"), "b": PRESENT})
    assert str(one) == "a==~ ^x b=present"
    text = PredicateEntry.model_validate({"attributes": {"a": "=~ ^x"}}).predicate()
    assert text.attributes == {"a": "=~ ^x"}


def test_opentelemetrys_own_enumerations_are_words_too() -> None:
    """They have the same names."""
    from opentelemetry.trace import SpanKind, StatusCode

    assert span(kind=SpanKind.CLIENT, status=StatusCode.ERROR) == span(
        kind="client", status="error"
    )
