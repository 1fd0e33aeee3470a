"""The scene of every adversity test: the shared stack with a quick case on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.adversity.scene import Scene
from tests.support.lab_under_test import LabUnderTest


@pytest.fixture
def scene(lab: LabUnderTest) -> Iterator[Scene]:
    """The quick case's stack; whatever a test leaves running is ended for the next one."""
    scene = Scene(lab)
    try:
        yield scene
    finally:
        scene.clear()
