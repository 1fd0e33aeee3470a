"""What the locks name, and what `docs/licences.md` says of it."""

from __future__ import annotations

import importlib
import lzma
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lab.adapters.tools.pack import NOTICES
from lab.adapters.tools.table import AGPL
from lab.settings import CHECKOUT

CHECK = [sys.executable, str(CHECKOUT / "lock" / "licences.py"), "--check"]


@pytest.fixture(scope="module")
def licences() -> Any:
    sys.path.insert(0, str(CHECKOUT / "lock"))
    try:
        return importlib.import_module("licences")
    finally:
        sys.path.remove(str(CHECKOUT / "lock"))


def test_the_document_says_it_of_every_package() -> None:
    """Without a network or a Go, and in less than two seconds of the processor."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        CHECK,
        env={"PATH": "/nowhere", "LAB_CACHE_DIR": "/nowhere", "HOME": os.environ["HOME"]},
        capture_output=True,
        text=True,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2.0


def test_every_kind_of_lock_is_read(licences: Any) -> None:
    """A pin, a requirement in a block, one on a line of its own, and npm's."""
    named = {package.key[:2] for package in licences.named()}
    assert ("python", "fastapi") in named
    assert ("go", "github.com/grafana/tempo") in named
    assert ("go", "github.com/google/licensecheck") in named
    assert ("npm", "typescript") in named


def test_a_replacement_is_not_what_is_required(licences: Any) -> None:
    """It is the same module by another version, and its own `go.mod` names it once."""
    names = [(each.name, each.by) for each in licences.named() if each.kind == "go"]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("kind", "name", "by", "licence", "complaint"),
    [
        ("python", "new", "", None, "expected a row, found none"),
        ("go", "example.org/new", "otelcol", None, "expected a row, found none"),
        ("npm", "new", "", None, "expected a row, found none"),
        ("python", "new", "", "unknown", "found that nobody knows it"),
        ("python", "new", "", "GPL-3.0-only", "found GPL-3.0-only"),
        ("python", "new", "", "MIT AND GPL-3.0-only", "found MIT AND GPL-3.0-only"),
        ("go", "example.org/new", "otelcol", "AGPL-3.0", "found AGPL-3.0"),
        ("go", "example.org/new", "door", "AGPL-3.0", "found AGPL-3.0"),
    ],
)
def test_what_may_not_be_there_is_refused(
    licences: Any, kind: str, name: str, by: str, licence: str | None, complaint: str
) -> None:
    """What lacks, what nobody knows, and copyleft that would be linked to ours."""
    package = licences.Package(kind, name, "1", by)
    rows = {} if licence is None else {package.key: licence}
    [problem] = licences.problems([package], rows)
    assert problem == f"{kind} {name} 1: {problem.partition(': ')[2]}"
    assert complaint in problem


@pytest.mark.parametrize(
    ("kind", "name", "by", "licence"),
    [
        ("go", "example.org/new", "tempo", "AGPL-3.0"),
        ("python", "podman-compose", "", "GPL-2.0-only"),
        ("python", "new", "", "GPL-3.0-only OR MIT"),
        ("python", "new", "", "MIT AND PSF-2.0"),
    ],
)
def test_what_may_be_there_is_not(
    licences: Any, kind: str, name: str, by: str, licence: str
) -> None:
    package = licences.Package(kind, name, "1", by)
    assert list(licences.problems([package], {package.key: licence})) == []


def test_a_module_under_the_agpl_of_two_tools_is_refused(licences: Any) -> None:
    """Where only one of them is a program that may be under it."""
    packages = [licences.Package("go", "example.org/new", "1", by) for by in ("tempo", "otelcol")]
    assert len(list(licences.problems(packages, {packages[0].key: "AGPL-3.0"}))) == 1


def test_a_row_of_what_is_no_longer_named_is_refused(licences: Any) -> None:
    assert list(licences.problems([], {("npm", "old", "1"): "MIT"})) == [
        "npm old 1: expected that a lock names it, found that none does"
    ]


def test_the_tools_under_the_agpl_are_those_whose_own_module_is(licences: Any) -> None:
    """By their texts, so that a tool that changes its licence is noticed."""
    rows = licences.listed((CHECKOUT / "docs" / "licences.md").read_text(encoding="utf-8"))
    tools = {package.by for package in licences.named() if "AGPL" in rows[package.key]}
    assert tools == AGPL


def test_the_notices_have_a_text_of_every_module_that_a_tool_requires(licences: Any) -> None:
    """Whoever passes the tools on passes them on too."""
    texts = lzma.decompress(NOTICES.read_bytes()).decode()
    modules = [each for each in licences.named() if each.kind == "go" and each.by != "licences"]
    assert [each for each in modules if f"\n{each.name} {each.version} " not in texts] == []


@pytest.mark.parametrize(
    ("old", "new", "complaints"),
    [
        ("| `fastapi` |", "| `slowapi` |", ["python fastapi", "python slowapi"]),
        ("**Not linked.**", "**Linked.**", ["found other words"]),
    ],
)
def test_a_check_that_fails_names_each_problem_and_what_to_do(
    old: str, new: str, complaints: list[str], tmp_path: Path
) -> None:
    """Through the command that `make check` calls."""
    text = (CHECKOUT / "docs" / "licences.md").read_text(encoding="utf-8")
    (tmp_path / "licences.md").write_text(text.replace(old, new), encoding="utf-8")
    script = (
        "import pathlib, sys, licences\n"
        f"licences.DOCUMENT = pathlib.Path({str(tmp_path)!r}) / 'licences.md'\n"
        "sys.argv = ['licences', '--check']\n"
        "licences.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT / "lock")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    for complaint in (*complaints, "make licences"):
        assert complaint in done.stderr
