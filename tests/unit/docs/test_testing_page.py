"""The page about testing one's own services: its code runs as it stands, its words are those."""

from __future__ import annotations

import re
from pathlib import Path

from lab.settings import CHECKOUT
from lab.testing import words
from tests.support.pages import write_files
from tests.unit.testing.sessions import run

PAGE = "testing-your-own-services.md"


def test_its_tests_pass_and_are_twenty_lines(tmp_path: Path) -> None:
    """As promised."""
    assert write_files(PAGE, tmp_path) == ["shop.py", "test_shop.py"]
    session = run(tmp_path)
    assert session.counts["passed"] == 2, session.text
    lines = (tmp_path / "test_shop.py").read_text().splitlines()
    assert len([line for line in lines if line.strip()]) <= 21


def test_its_tests_fail_where_the_service_is_wrong(tmp_path: Path) -> None:
    """A receipt for a card that was declined, and an error that is swallowed."""
    write_files(PAGE, tmp_path)
    shop = tmp_path / "shop.py"
    right = shop.read_text()
    refused = '        raise HTTPException(402, "declined") from None\n'
    assert refused in right
    shop.write_text(right.replace(refused, "        pass\n"))
    assert run(tmp_path).counts["failed"] == 1
    shop.write_text(right.replace('"send receipt"', '"send receipt 4711471"'))
    session = run(tmp_path)
    assert "+     send receipt 4711471" in session.text


def test_it_names_every_word_of_the_language() -> None:
    """But for the one that is about joined traces, which only a scenario has."""
    text = (CHECKOUT / "docs" / PAGE).read_text(encoding="utf-8")
    table = text.partition("| Word |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`([a-z_]+)`", table)) - {"child_of", "descendant_of"} == (
        set(words.WORDS) - {"no_joined"}
    )
