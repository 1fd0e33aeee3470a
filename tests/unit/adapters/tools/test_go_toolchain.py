"""Tests of what a call of ``go`` leaves behind it."""

import shutil
import subprocess
import time
from pathlib import Path

import pytest

from lab.adapters.tools import go_toolchain


def test_go_is_told_to_start_nothing_that_outlives_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its telemetry would write into a folder that its owner is just removing."""
    for platform, config in (("linux", ".config"), ("darwin", "Library/Application Support")):
        monkeypatch.setattr("sys.platform", platform)
        scratch = tmp_path / platform
        home = Path(go_toolchain.environment(scratch)["HOME"])
        assert home.is_relative_to(scratch)
        assert (home / config / "go" / "telemetry" / "mode").read_text().strip() == "off"


@pytest.mark.skipif(shutil.which("go") is None, reason="no go on PATH to be asked")
def test_a_real_go_leaves_nothing_behind_it(tmp_path: Path) -> None:
    """Half a second is ten times what its telemetry took to begin writing."""
    environment = go_toolchain.environment(tmp_path)
    before = set(tmp_path.rglob("*"))
    subprocess.run(["go", "env", "GOVERSION"], env=environment, check=True, capture_output=True)
    time.sleep(0.5)
    assert set(tmp_path.rglob("*")) == before
