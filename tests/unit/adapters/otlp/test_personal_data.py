"""The lint finds what the Collector masks, by the same patterns, and nothing else."""

from __future__ import annotations

import time
import warnings

import pytest
from ruamel.yaml import YAML

from lab.adapters.otlp import personal_data
from lab.settings import CHECKOUT
from tests.support.personal_data import FORMS, INNOCENT, WHOLE_VALUES

COLLECTOR = CHECKOUT / "deploy" / "otelcol" / "collector.yaml"


@pytest.mark.parametrize("section", ["allowed_values", "blocked_values"])
def test_the_patterns_are_the_collectors_word_for_word(section: str) -> None:
    """A wheel has no ``deploy/``; so there are two places, and this holds them together."""
    redaction = YAML(typ="safe").load(COLLECTOR.read_text())["processors"]["redaction"]
    assert personal_data.read(section) == tuple(
        each.replace("$$", "$") for each in redaction[section]
    )


def test_every_form_that_the_collector_masks_is_found() -> None:
    """`tests/contract/test_masking.py` asks the real one of the same."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [form for form in FORMS if personal_data.found_in(form) is None] == []


def test_nothing_that_the_collector_leaves_is_found() -> None:
    """Ids, times, versions of pictures, addresses of repositories."""
    innocent = (*INNOCENT, *WHOLE_VALUES)
    assert [text for text in innocent if personal_data.found_in(text) is not None] == []


@pytest.mark.parametrize("text", ["a" * 200_000, "a@" * 50_000, "4 " * 50_000, "x%40" * 50_000])
def test_no_text_keeps_it_busy(text: str) -> None:
    """Python's patterns backtrack, as the Collector's do not."""
    began = time.process_time()
    personal_data.found_in(text)
    assert time.process_time() - began < 15


def test_what_stands_far_in_a_long_text_is_found() -> None:
    """Also where one window ends and the next begins."""
    for at in (0, 60, 155, 8_000):
        assert personal_data.found_in(" " * at + "bob@example.com") == "bob@example.com"
