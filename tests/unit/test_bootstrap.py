"""What the composition root hands to whom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab import bootstrap
from lab.settings import Settings
from lab.shop.keeper import secret


@pytest.mark.parametrize(
    ("in_file", "in_environment", "told"),
    [("own", "", "own"), (None, "given", "given"), ("own", "given", "own"), (None, "", None)],
)
def test_the_warden_asks_for_the_secret_of_its_file_or_of_its_container(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    in_file: str | None,
    in_environment: str,
    told: str | None,
) -> None:
    """A container has it in its environment; without any the warden asks for none."""
    settings = Settings(state_dir=tmp_path)
    settings.run_dir.mkdir()
    settings.log_dir.mkdir()
    assert settings.secret_file is not None
    if in_file is not None:
        settings.secret_file.write_text(in_file)
    monkeypatch.setenv(secret.VARIABLE, in_environment)
    served: list[Any] = []
    monkeypatch.setattr("lab.warden.app.serve", lambda *given: served.extend(given))
    bootstrap.serve_warden(settings)
    assert (served[-1] or None) == told
