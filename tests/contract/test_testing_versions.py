"""The wheel in an environment with pytest, its async and parallel friends, and the SDK alone.

Each Python and each pytest that can be had here is tried; what cannot is skipped, and says why.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from lab.settings import CHECKOUT
from tests.unit.testing.sessions import write

UV = str(Path(sys.executable).with_name("uv"))
PAIRS = [("3.11", "8"), ("3.11", "9"), ("3.12", "9"), ("3.13", "8"), ("3.14", "9")]
BESIDE = ("anyio", "pytest-asyncio", "pytest-xdist", "opentelemetry-sdk")
INSTALL_S = 240

TESTS = """
    import asyncio
    import sys

    import anyio
    import pytest
    from opentelemetry import trace
    from lab.testing import assert_semantic, async_expect, expect, match_tree, span
    import lab.testing.toxiproxy

    tracer = trace.get_tracer("app")


    async def pay(name):
        with tracer.start_as_current_span(f"POST /{name}"):
            await anyio.sleep(0.01)
            with tracer.start_as_current_span("charge"):
                pass


    @pytest.mark.parametrize("name", list("abcdef"))
    def test_synchronous(spans, name):
        tracer.start_span(name).end()
        expect(spans).to_have(name, count=1)
        expect(spans).to_have(count=1)


    @pytest.mark.asyncio
    @pytest.mark.parametrize("name", list("abcdef"))
    async def test_asyncio(spans, name):
        made = asyncio.create_task(pay(name))
        await async_expect(spans, within_s=10).to_have("charge", count=1)
        await made
        expect(spans).to_have(span("charge").child_of(span(f"POST /{name}")))
        match_tree(spans, f"POST /{name}\\n  charge")
        assert_semantic(spans)


    @pytest.fixture(scope="module")
    def anyio_backend():
        return "asyncio"


    @pytest.fixture(scope="module")
    async def for_the_whole_module(anyio_backend):
        yield


    @pytest.mark.anyio
    @pytest.mark.parametrize("name", list("abcdef"))
    async def test_anyio(for_the_whole_module, spans, name):
        await pay(name)
        match_tree(spans, f"POST /{name}\\n  charge")


    def test_nothing_else_is_installed():
        heavy = ("fastapi", "grpc", "httpx", "locust", "pydantic", "rich", "typer")
        assert [name for name in sys.modules if name.split(".")[0] in heavy] == []
        for name in heavy:
            with pytest.raises(ImportError):
                __import__(name)
"""


@cache
def interpreter(version: str) -> str | None:
    command = [UV, "python", "find", "--no-python-downloads", "--no-project", version]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode == 0:
        return done.stdout.strip()
    # pyenv keeps those aside that its user has not chosen.
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    kept = sorted(pyenv.glob(f"{version}.*/bin/python{version}"))
    return str(kept[-1]) if kept else None


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=CHECKOUT, check=True, capture_output=True, timeout=INSTALL_S)
    (built,) = folder.glob("deadspan-*.whl")
    return built


def install(python: Path, *what: str) -> str | None:
    """Why it could not be; None where it is."""
    command = [UV, "pip", "install", "--quiet", "--python", str(python), *what]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S)
    except subprocess.TimeoutExpired:
        return f"not within {INSTALL_S} s"
    return None if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(("version", "major"), PAIRS)
def test_the_plugin_works_there(version: str, major: str, wheel: Path, tmp_path: Path) -> None:
    """Found by its entry point; in one process, and in two."""
    base = interpreter(version)
    if base is None:
        pytest.skip(f"no Python {version} on this machine")
    home = tmp_path / "venv"
    subprocess.run([UV, "venv", "--quiet", "--python", base, str(home)], check=True, timeout=60)
    python = home / "bin" / "python"
    why = install(python, f"pytest=={major}.*", *BESIDE)
    if why is not None:
        pytest.skip(f"pytest {major} for Python {version} cannot be had: {why}")
    assert install(python, str(wheel)) is None
    lab = subprocess.run([str(home / "bin" / "lab")], capture_output=True, text=True, timeout=60)
    assert (lab.returncode, lab.stdout) == (64, "")
    assert "expected the lab's own packages, found no typer" in lab.stderr
    project = tmp_path / "project"
    project.mkdir()
    write(project, TESTS)
    for parallel in ([], ["-n", "2"]):
        command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", *parallel]
        done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=120)
        assert "19 passed" in done.stdout, done.stdout + done.stderr
