"""What the code itself must never do: hand text to a shell, or put it into SQL."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.domain.load import Job
from lab.ports.injector import EdgeState
from lab.settings import CHECKOUT
from lab.shop.topology import DATABASES

SOURCES = sorted([*CHECKOUT.glob("lab/**/*.py"), *CHECKOUT.glob("bench/*.py")])
SHELLS = {"sh", "bash", "/bin/sh", "/bin/bash"}
SHELL_CALLS = {
    "asyncio.create_subprocess_shell",
    "os.popen",
    "os.system",
    "subprocess.getoutput",
    "subprocess.getstatusoutput",
}
SQL_METHODS = {
    *("execute", "executemany", "fetch", "fetchrow", "fetchval", "fetchmany"),
    *("cursor", "copy_from_query"),
}
NO_PARAMETERS_POSSIBLE = {
    ("migrate.py", "f'CREATE DATABASE {database}'"),  # An identifier, out of a constant table.
    ("migrate.py", "file.read_text(encoding='utf-8')"),  # A whole file of deploy/postgres/.
}


def shells_in(tree: ast.AST) -> Iterator[ast.AST]:
    """Every place that would let a shell read a text."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            given = {word.arg: word.value for word in node.keywords}
            shell = given.get("shell", ast.Constant(False))
            if ast.unparse(node.func) in SHELL_CALLS or ast.unparse(shell) != "False":
                yield node
        elif isinstance(node, ast.List | ast.Tuple):
            words = [each.value for each in node.elts if isinstance(each, ast.Constant)]
            if "-c" in words and SHELLS.intersection(words):
                yield node


def composed_sql_in(tree: ast.Module) -> Iterator[str]:
    """Every statement given to a database that is not one text, written out in its module."""
    constants = {
        target.id
        for statement in tree.body
        if isinstance(statement, ast.Assign | ast.AnnAssign) and _is_text(statement.value)
        for target in (
            statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        )
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if node.func.attr in SQL_METHODS and node.args:
            sql = node.args[0]
            named = isinstance(sql, ast.Name) and sql.id in constants
            if not named and not _is_text(sql):
                yield ast.unparse(sql)


def _is_text(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def in_all_sources(look: Callable[[ast.Module], Iterator[object]]) -> list[tuple[Path, object]]:
    return [(path, found) for path in SOURCES for found in look(ast.parse(path.read_text("utf-8")))]


def test_no_shell_reads_what_somebody_gave() -> None:
    """Every process is started from a list of words."""
    assert len(SOURCES) > 100
    assert in_all_sources(shells_in) == []


@pytest.mark.parametrize(
    "source",
    [
        "subprocess.run(f'ls {name}', shell=True)",
        "subprocess.run(command, shell=use_shell)",
        "os.system('ls')",
        "subprocess.getoutput('ls')",
        "await asyncio.create_subprocess_shell('ls')",
        "subprocess.run(['sh', '-c', f'ls {name}'])",
        "command = ('/bin/bash', '-e', '-c', text)",
    ],
)
def test_each_way_to_a_shell_is_found(source: str) -> None:
    """The check above does reject."""
    assert list(shells_in(ast.parse(source)))


@pytest.mark.parametrize(
    "source", ["subprocess.run(['ls', name], shell=False)", "run(['python', '-c', 'pass'])"]
)
def test_a_list_of_words_is_no_shell(source: str) -> None:
    """And lets through what it should."""
    assert not list(shells_in(ast.parse(source)))


def test_sql_takes_values_as_parameters_only() -> None:
    """Every statement is a text as it stands; two cannot be, and are known."""
    found = {(path.name, sql) for path, sql in in_all_sources(composed_sql_in)}
    assert found == NO_PARAMETERS_POSSIBLE
    assert all(re.fullmatch("[a-z]+", database) for database in DATABASES.values())


@pytest.mark.parametrize(
    "source",
    [
        "await c.execute(f'DELETE FROM t WHERE id = {id}')",
        "await c.fetch('SELECT 1 ' + where)",
        "await c.fetchrow('SELECT %s' % name)",
        "await c.fetchval('SELECT {}'.format(name))",
        "QUERY = f'SELECT {1}'\nc.fetch(QUERY)",
        "def f(query): c.fetch(query)",
        "c.executemany(build(), rows)",
    ],
)
def test_each_way_to_compose_sql_is_found(source: str) -> None:
    """The check above does reject."""
    assert list(composed_sql_in(ast.parse(source)))


@pytest.mark.parametrize(
    "source",
    [
        "QUERY: Final = 'SELECT $1'\nc.fetch(QUERY, name)",
        "QUERY = 'SELECT' ' $1'\nc.fetch(QUERY, name)",
        "c.execute('SELECT $1', name)",
        "cursor = c.cursor()",
    ],
)
def test_a_statement_with_parameters_is_let_through(source: str) -> None:
    """And lets through what it should."""
    assert not list(composed_sql_in(ast.parse(source)))


def test_a_text_that_shows_a_noun_as_python_prints_it_is_caught() -> None:
    """Wherever code of ours puts one that has no words into a message; not where a test does."""
    job = Job(1.0, 2.0, 3.0)
    ours = {"__name__": "lab.pretended", "job": job}
    for shown in ("str(job)", "f'found {job}'"):
        with pytest.raises(AssertionError, match="expected Job to have words of its own"):
            eval(shown, ours)
        assert "Job(" in eval(shown, {**ours, "__name__": "tests.pretended"})
    edge = EdgeState("payments-bank", True, ())
    assert eval("f'{edge}'", {**ours, "edge": edge}) == "payments-bank clean"
    assert str(EdgeState("payments-bank", False, ())) == "payments-bank down"
