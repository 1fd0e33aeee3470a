"""The desk for agents: the cases as tools of the Model Context Protocol."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType


def lighten_the_sdk() -> None:
    """Let the SDK's server be imported in half the time, in a process that does nothing else.

    ``mcp`` and ``mcp.server`` import the client and a second way to write servers into their
    own names. A process that only serves gets both packages empty, and the modules that it
    imports by their whole names are the SDK's own. And every model of Pydantic's that is defined
    from here on, both revisions of the protocol have some hundreds, is built when it is used.
    Nothing is done where the SDK is there already, or is not installed.
    """
    spec = None if "mcp" in sys.modules else find_spec("mcp")
    if spec is None or spec.origin is None:
        return
    place = Path(spec.origin).parent
    for name, folder in (("mcp", place), ("mcp.server", place / "server")):
        package = ModuleType(name)
        package.__path__ = [str(folder)]
        package.__spec__ = ModuleSpec(name, None, is_package=True)
        sys.modules[name] = package
    from pydantic import BaseModel

    BaseModel.model_config["defer_build"] = True
