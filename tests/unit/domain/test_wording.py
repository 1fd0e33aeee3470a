"""Words for a person."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.domain.wording import near_names, plain_markdown, times_usual
from tests.support.obedient import obeyed


def test_near_names_are_offered_nearest_first_and_strangers_are_not() -> None:
    known = ["db-timeout", "slow-shelves", "card-declined"]
    assert near_names("db-timout", known) == ("db-timeout",)
    assert near_names("zzz", known) == ()


@pytest.mark.parametrize(
    ("times", "said"),
    [(0.5, "×0.5"), (9.94, "×9.9"), (9.95, "×10"), (9999.4, "×9999"), (9999.5, "×9999+")],
)
def test_a_factor_that_is_not_told_whole_says_so(times: float, said: str) -> None:
    assert times_usual(times) == said


@pytest.mark.parametrize(
    "text",
    [
        "[x](javascript:alert(1))",
        r"[x\](javascript:alert(1))",
        r"[x\\](javascript:alert(1))",
        "[x](<javascript:alert(1)>)",
        "[x](\tdata:text/html,x)",
        "![x](http://evil.example/pixel.png)",
        r"\![x](http://evil.example/pixel.png)",
        "[x][r]\n\n[r]: javascript:alert(1)",
        "[r]\n\n> [r]:\n> javascript:alert(1)",
        "![x][r]\n\n[r]: http://evil.example/pixel.png",
        "<javascript:alert(1)>",
        "<img src=x onerror=alert(1)>",
    ],
)
def test_foreign_markdown_does_nothing_by_itself(text: str) -> None:
    """No image is fetched, no link leads anywhere but to the web, no HTML is left."""
    assert obeyed(text)[:1] or "\\" in text, "the text is an attack"
    assert obeyed(plain_markdown(text)) == []


@given(st.lists(st.sampled_from([*"[]()!\\<>: \nr", "javascript:x", "https://e.example"])))
def test_no_mixture_of_brackets_does(pieces: list[str]) -> None:
    """Whatever stands before a bracket, also a backslash that undoes another."""
    assert obeyed(plain_markdown("".join(pieces))) == []


def test_links_to_the_web_stay() -> None:
    """A debrief names its sources."""
    assert plain_markdown("[x](https://e.example)") == "[x](https://e.example)"
    assert plain_markdown("[x]: https://e.example") == "[x]: https://e.example"
