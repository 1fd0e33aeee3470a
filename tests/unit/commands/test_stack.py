"""Commands about the stack, as far as they need none."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from lab.adapters.tools import toolbox
from lab.adapters.tools.table import Tool
from lab.commands.stack import WITHOUT_TEMPO, build_tools
from lab.errors import ToolMissing
from lab.settings import Settings


@pytest.mark.parametrize(
    ("store", "lacks", "says"),
    [("tempo", "tempo", True), ("tempo", "otelcol", False), ("jaeger", "jaeger", False)],
)
def test_where_tempo_cannot_be_built_the_way_without_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: str, lacks: str, says: bool
) -> None:
    """Behind what kept it from being built; of another tool that is no way."""

    def refused(tools: Iterable[Tool], settings: Settings, progress: object) -> None:
        raise ToolMissing(f"expected Go to build {lacks}, found exit status 1")

    def found(tool: Tool, settings: Settings) -> object:
        return None if tool.name == lacks else object()

    monkeypatch.setattr(toolbox, "ensure", refused)
    monkeypatch.setattr(toolbox, "find", found)
    monkeypatch.setenv("STORE", store)
    with pytest.raises(ToolMissing, match=f"expected Go to build {lacks}") as caught:
        build_tools(Settings(state_dir=tmp_path, cache_dir=tmp_path))
    assert (WITHOUT_TEMPO in str(caught.value)) is says
