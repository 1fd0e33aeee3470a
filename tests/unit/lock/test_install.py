"""The set-up: in a folder of any name, whatever pip is told, and never over what is the user's."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from lab.settings import CHECKOUT

PLAIN_PIP = CHECKOUT / "lock" / "plain_pip.py"
WHEEL = "tiny-1.0-py3-none-any.whl"
UNREACHABLE = re.compile(r"error sending request|No matching distribution|NewConnectionError")


@pytest.fixture(scope="module")
def small_venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with pip, and a wheel beside it."""
    folder = tmp_path_factory.mktemp("small")
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    with zipfile.ZipFile(folder / WHEEL, "w") as wheel:
        wheel.writestr("tiny.py", "")
        info = "tiny-1.0.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", f"tiny.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n")
    return folder


@pytest.mark.parametrize("where", ["variables", "configuration"])
def test_a_users_settings_of_pip_move_nothing(where: str, small_venv: Path, tmp_path: Path) -> None:
    """A package comes into the environment that it was meant for, whatever they say at once."""
    elsewhere, configuration = str(tmp_path / "elsewhere"), tmp_path / "pip.conf"
    settings = {"user": "true", "target": elsewhere, "prefix": elsewhere, "root": elsewhere}
    settings |= {"dry-run": "true", "no-binary": ":all:"}
    own = {}
    if where == "variables":
        own = {f"PIP_{name.upper().replace('-', '_')}": text for name, text in settings.items()}
        own["PIP_PYTHON"] = "/nowhere"
    lines = () if own else (f"{name} = {text}" for name, text in settings.items())
    configuration.write_text("\n".join(("[install]", *lines)))
    python = small_venv / "venv" / "bin" / "python"
    install = [str(python), str(PLAIN_PIP), "install", "--quiet", "--no-deps", "--force-reinstall"]
    (packages,) = small_venv.glob("venv/lib/python*/site-packages")
    shutil.rmtree(packages / "tiny-1.0.dist-info", ignore_errors=True)
    done = subprocess.run(
        [*install, str(small_venv / WHEEL)],
        env={**os.environ, "PIP_CONFIG_FILE": str(configuration), "HOME": str(tmp_path), **own},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (packages / "tiny-1.0.dist-info" / "METADATA").exists()
    assert not Path(elsewhere).exists()


def test_where_packages_come_from_stays_the_users_choice(plain_pip: Any) -> None:
    """From configuration and variables, which go first; what is set to nothing is not set."""
    listed = [
        "global.index-url='https://a.example/simple'",
        "install.index-url='https://b.example/simple'",
        "global.extra-index-url='\\nhttps://c.example\\nhttps://d.example'",
        "global.user='true'",
        "download.proxy='http://e.example'",
        "global.cert='/f.pem'",
        "freeze.timeout='10'",
    ]
    own = {"PIP_CERT": "/g.pem", "PIP_PROXY": "", "PIP_TARGET": "/h", "EDITOR": "vi"}
    assert plain_pip.plain(own, listed) == {
        "PIP_INDEX_URL": "https://b.example/simple",
        "PIP_EXTRA_INDEX_URL": "\nhttps://c.example\nhttps://d.example",
        "PIP_CERT": "/g.pem",
        "EDITOR": "vi",
        "PIP_CONFIG_FILE": os.devnull,
    }


@pytest.fixture
def plain_pip(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The script as a module; its folder is no package."""
    monkeypatch.syspath_prepend(str(PLAIN_PIP.parent))
    return importlib.import_module("plain_pip")


@pytest.fixture
def empty_checkout(tmp_path: Path) -> Path:
    """A folder with nothing to install in it, and a Python first on PATH that makes no venv."""
    shutil.copytree(CHECKOUT / "lock", tmp_path / "lock")
    for name in ("python3.14", "python3.13", "python3.12", "python3.11", "python3"):
        python = tmp_path / "bin" / name
        python.parent.mkdir(exist_ok=True)
        python.write_text('#!/bin/sh\n[ "$1 $2" != "-m venv" ] || exit 33\n')
        python.chmod(0o755)
    return tmp_path


def install(checkout: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "lock/install.sh", ".venv/.installed-test"],
        cwd=checkout,
        env={**os.environ, "PATH": f"{checkout / 'bin'}:{os.environ['PATH']}"},
        check=False,
        capture_output=True,
        text=True,
    )


def test_a_venv_of_the_users_own_is_left_alone(empty_checkout: Path) -> None:
    """It has no mark: it is named, with what to do, and nothing in it is touched."""
    own = empty_checkout / ".venv" / "precious"
    own.parent.mkdir()
    own.write_text("mine")
    done = install(empty_checkout)
    assert done.returncode == 2
    assert f"expected {empty_checkout}/.venv to be the lab's own" in done.stderr
    assert "move it away" in done.stderr
    assert [path.name for path in own.parent.iterdir()] == ["precious"]


def test_a_link_to_a_venv_is_left_alone(empty_checkout: Path) -> None:
    """Whatever it leads to, and whatever that is marked as."""
    elsewhere = empty_checkout / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / ".made-by-deadspan").write_text("/another/checkout\n")
    (empty_checkout / ".venv").symlink_to(elsewhere)
    assert install(empty_checkout).returncode == 2
    assert (empty_checkout / ".venv").is_symlink()
    assert (elsewhere / ".made-by-deadspan").exists()


@pytest.mark.parametrize("trace", [".made-by-deadspan", ".unfinished", ".installed-1-2"])
def test_a_venv_that_the_lab_made_is_made_anew(empty_checkout: Path, trace: str) -> None:
    """Half made, of a checkout that moved, or of an earlier version."""
    old = empty_checkout / ".venv" / "old"
    old.parent.mkdir()
    old.write_text("")
    (old.parent / trace).write_text("/another/checkout\n")
    assert install(empty_checkout).returncode == 33
    assert not old.exists()
    assert (old.parent / ".made-by-deadspan").read_text() == f"{empty_checkout}\n"


@pytest.mark.timeout(240)
def test_a_checkout_of_any_name_is_set_up_and_says_what_it_cannot(tmp_path: Path) -> None:
    """By `make`, in a locale that has only ASCII, with a pip told to install elsewhere.

    PostgreSQL alone cannot be started there, and `doctor` names the letter.
    """
    checkout = tmp_path / "odd %d ;x #{} é'$a\"b"
    kept_out = shutil.ignore_patterns(".*", "__pycache__", "node_modules")
    shutil.copytree(CHECKOUT, checkout, ignore=kept_out)
    elsewhere = {"PIP_USER": "1", "PIP_TARGET": str(tmp_path / "t"), "LC_ALL": "C"}
    environment = {**os.environ, **elsewhere, "LAB_STATE_DIR": str(tmp_path / "state %d ;é")}

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=checkout, env=environment, check=False, capture_output=True, text=True
        )

    made = run("make", "doctor")
    if UNREACHABLE.search(made.stderr):
        pytest.skip("no package index reachable")
    assert "Installed in" in made.stdout, made.stderr
    assert "would take the $ in" in " ".join(made.stdout.split())
    for command in ((".venv/bin/lab", "--version"), (".venv/bin/python", "-m", "lab", "--version")):
        done = run(*command)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("lab ")
    assert not (tmp_path / "t").exists()
