"""Links from a text to what it rests on."""

from __future__ import annotations

import time

import pytest

from lab.domain.exhibit import exhibits_in, with_exhibits

TEXT = "One [query](exhibit:slow-query) took\n[{} of\nit](exhibit:share), [so](exhibit:share)."


def test_names_are_told_once_in_the_order_of_the_text() -> None:
    """Words of a link may go over the end of a line."""
    assert exhibits_in(TEXT) == ("slow-query", "share")


def test_each_link_is_written_by_whoever_shows_the_text() -> None:
    """What stands around them is left as it is."""
    assert with_exhibits(TEXT, lambda words, name: f"<{words}|{name}>") == (
        "One <query|slow-query> took\n<{} of\nit|share>, <so|share>."
    )


@pytest.mark.parametrize(
    "text", ["", "[a](https://example.com)", "[a][exhibit:b]", "exhibit:b", "[](exhibit:b)"]
)
def test_other_links_are_none_of_ours(text: str) -> None:
    """Those lead where they say."""
    assert exhibits_in(text) == ()
    assert with_exhibits(text, lambda words, name: "x") == text


def test_links_without_an_end_take_time_by_their_length_alone() -> None:
    """A case file's text may be nothing else; each was read to the end of all."""
    started_s = time.process_time()
    assert exhibits_in("[a](exhibit:" * 80_000) == ()
    assert time.process_time() - started_s < 5
