"""The locks: exact, hashed, silent about hosts, and installable where the README says."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from lab.settings import CHECKOUT

LOCKS = ("run", "container", "dev", "go", "agents")
PIN = re.compile(r"(?P<name>[a-z0-9-]+)==(?P<version>[^ ;]+)(?: ; [^\\]+)? \\")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?")
VIA = re.compile(
    r"    # +(via ?)?((-[cr] )?lock/[a-z]+\.[a-z]+|deadspan \(pyproject\.toml(:dev)?\)|[a-z0-9-]+)?"
)
UNREACHABLE = re.compile(
    r"error sending request|network was disabled|Failed to fetch", re.IGNORECASE
)
PLATFORMS = ("x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu", "aarch64-apple-darwin")
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())


def lock(name: str) -> Path:
    return CHECKOUT / "lock" / f"{name}.txt"


def pins(name: str) -> dict[str, set[str]]:
    """Package → its versions; more than one where markers choose between them."""
    found: dict[str, set[str]] = {}
    for match in PIN.finditer(lock(name).read_text()):
        found.setdefault(match["name"], set()).add(match["version"])
    return found


def strange_lines(text: str) -> list[str]:
    """What is neither a pin, nor a hash, nor a note of who needs a package."""
    kinds = (PIN, HASH, VIA)
    return [line for line in text.splitlines() if not any(kind.fullmatch(line) for kind in kinds)]


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_exact_pins_hashes_and_nothing_else(name: str) -> None:
    """Every line is a pin, a hash or a note of who needs it; so no host can be in it."""
    assert strange_lines(lock(name).read_text()) == []


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://packages.example/simple",
        "flask>=3",
        "flask==3.1.3",
        "flask @ https://packages.example/flask.whl",
        "    # from https://packages.example/simple",
        "    --hash=md5:d41d8cd98f00b204e9800998ecf8427e",
    ],
)
def test_a_loose_pin_or_a_host_is_strange(line: str) -> None:
    """The check above rejects."""
    assert strange_lines(line) == [line]


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_has_a_hash(name: str) -> None:
    """pip would refuse the whole lock for one pin without a hash."""
    lines = lock(name).read_text().splitlines()
    bare = [
        line
        for line, following in zip(lines, [*lines[1:], ""], strict=True)
        if PIN.fullmatch(line) and not HASH.fullmatch(following)
    ]
    assert bare == []


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("run", PROJECT["project"]["optional-dependencies"]["lab"]),
        ("dev", PROJECT["project"]["optional-dependencies"]["lab"]),
        ("run", PROJECT["project"]["optional-dependencies"]["agents"]),
        ("agents", PROJECT["project"]["optional-dependencies"]["agents"]),
        ("dev", PROJECT["dependency-groups"]["dev"]),
        ("dev", PROJECT["build-system"]["requires"]),
    ],
    ids=["run", "dev-run", "run-agents", "agents", "dev-group", "dev-build"],
)
def test_pyproject_and_lock_agree(name: str, wanted: list[str]) -> None:
    """A pin changed in one place only is found here; `make lock` mends it."""
    locked = pins(name)
    for requirement in wanted:
        package, _, version = requirement.partition("==")
        assert locked.get(re.sub(r"\[.*\]", "", package)) == {version}, requirement


def test_what_runs_is_what_is_tested() -> None:
    """The development lock contains the run-time lock, version by version."""
    assert pins("run").items() <= pins("dev").items()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("name", LOCKS)
def test_wheels_exist_for_every_supported_platform(
    name: str, platform: str, tmp_path: Path
) -> None:
    """On Python 3.11, where wheels go missing first, nothing has to be compiled on install."""
    done = dry_run(lock(name), platform, tmp_path)
    if done.returncode != 0 and UNREACHABLE.search(done.stderr):
        pytest.skip("no package index reachable")
    assert done.returncode == 0, done.stderr


def test_a_missing_wheel_is_found(tmp_path: Path) -> None:
    """The check above rejects: gevent's newest has no wheel for macOS and Python 3.11."""
    pinned = re.search(r"gevent==26\.9\.0 ; .*\\\n((    --hash.*\n)+)", lock("run").read_text())
    assert pinned is not None
    without_marker = tmp_path / "requirements.txt"
    without_marker.write_text(f"gevent==26.9.0 \\\n{pinned[1]}")
    done = dry_run(without_marker, "aarch64-apple-darwin", tmp_path)
    if UNREACHABLE.search(done.stderr):
        pytest.skip("no package index reachable")
    assert "no usable wheels" in done.stderr


def dry_run(requirements: Path, platform: str, target: Path) -> subprocess.CompletedProcess[str]:
    """Let the locked uv resolve to wheels only, for another machine, and install nothing."""
    command = [
        *(sys.executable, "-m", "uv", "pip", "install", "--dry-run", "--no-deps"),
        *("--require-hashes", "--only-binary", ":all:"),
        *("--python-platform", platform, "--python-version", "3.11"),
        *("--target", str(target), "--requirement", str(requirements)),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=50)
