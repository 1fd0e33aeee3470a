"""What the documents tell a reader to type is what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.main import get_command

from lab import bootstrap
from lab.cli import app
from lab.settings import CHECKOUT, Settings

DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "ARCHITECTURE.md",
    *sorted(f"docs/{path.name}" for path in (CHECKOUT / "docs").glob("*.md")),
)
SPANS = re.compile(r"`([^`\n]+)`|^(?:\$ )?((?:lab|make) .+)$", re.MULTILINE)


def _typed(text: str, program: str) -> set[str]:
    """The first word after ``program`` in every code span and console line."""
    lines = (one or other for one, other in SPANS.findall(text))
    found = (re.match(rf"(?:\.venv/bin/)?{program} ([a-z]+(?:-[a-z]+)*)\b", line) for line in lines)
    return {match[1] for match in found if match}


@pytest.fixture(params=DOCUMENTS)
def document(request: pytest.FixtureRequest) -> Path:
    return CHECKOUT / str(request.param)


@pytest.fixture
def text(document: Path) -> str:
    return document.read_text(encoding="utf-8")


def test_every_lab_command_in_the_documents_exists(text: str) -> None:
    """A reader who types it gets no usage error."""
    known = set(getattr(get_command(app), "commands", {}))
    assert _typed(text, "lab") <= known


def test_every_make_target_in_the_documents_exists(text: str) -> None:
    """Each target named is one of the Makefile's."""
    targets = set(
        re.findall(r"^\.PHONY: ([\w-]+)$", (CHECKOUT / "Makefile").read_text(), re.MULTILINE)
    )
    assert _typed(text, "make") <= targets


def test_every_setting_in_the_readme_exists() -> None:
    """Environment variables are the settings' own, or the load's."""
    named = set(re.findall(r"`(LAB_[A-Z_]+)", (CHECKOUT / "README.md").read_text()))
    assert named
    assert named <= {f"LAB_{name.upper()}" for name in Settings.model_fields}


def test_every_link_between_documents_leads_somewhere(document: Path, text: str) -> None:
    """Relative links point at files of the checkout, from where the document lies."""
    found = re.findall(r"\]\(([^)]+)\)", text)
    links = [link for link in found if "://" not in link and not link.startswith("exhibit:")]
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_a_document_that_names_what_is_not_there_is_found() -> None:
    """The reading above does reject."""
    assert _typed("type `lab frobnicate` or\n$ lab conjure now", "lab") == {"frobnicate", "conjure"}


def test_the_readme_names_every_case_by_title_and_no_scenario_but_its_example() -> None:
    """By the name most are half solved; authors find names and what they teach elsewhere."""
    known = bootstrap.scenarios(Settings())
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    table = readme.partition("| The pager says |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| ([●○]{5}) \| (.+?) \|", table, re.MULTILINE)
    levels = {title.partition(" (`")[0]: level.count("●") for level, title in rows}
    assert levels == {each.title: each.difficulty for each in known.values()}
    assert [name for name in known if f"`{name}`" in table] == ["db-timeout"]
    authors = (CHECKOUT / "docs" / "writing-a-case.md").read_text(encoding="utf-8")
    assert [
        each for each in known if f"| `{each}` | {known[each].difficulty} |" not in authors
    ] == []
