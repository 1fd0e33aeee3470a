"""The versions of what runs in this very process, for a case's manifest."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib import metadata
from typing import Final

from lab import __version__

_TOLD_PACKAGES: Final = ("asyncpg", "fastapi", "httpx", "locust", "opentelemetry-sdk")


def own_versions() -> Mapping[str, str]:
    """Python, the lab, and the packages that make the spans."""
    packages = {name: metadata.version(name) for name in _TOLD_PACKAGES}
    return {"python": platform.python_version(), "deadspan": __version__, **packages}
