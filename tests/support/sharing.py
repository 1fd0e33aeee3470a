"""A plugin that says which tests several workers share."""

from __future__ import annotations

from typing import Any, Final

import pytest
from xdist.scheduler import LoadScopeScheduling

CODE_ALONE: Final = (
    *("tests/unit/", "tests/adversity/test_fuzz_"),
    *("tests/contract/test_case_archive", "tests/contract/test_testing_"),
)
"""Where tests start no stack, and none waits for what others do to the machine."""


def is_code_alone(nodeid: str) -> bool:
    """Whether it matters nothing to this test what else runs."""
    return nodeid.startswith(CODE_ALONE)


class Sharing(LoadScopeScheduling):  # type: ignore[misc]
    """Tests of the code alone one by one to whoever is free; all others to one worker.

    `tests/conftest.py` puts those last, so nothing else is left then: what runs beside real
    parts makes them late.
    """

    def _split_scope(self, nodeid: str) -> str:
        return nodeid if is_code_alone(nodeid) else "real parts"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Sharing:
    """Share the tests out so, in the order of the suite, whatever `--dist` says."""
    config.option.loadscopereorder = False
    return Sharing(config, log)
