"""What a case is called: after its scenario, or by a number alone."""

from __future__ import annotations

from typing import Final

NUMBERED: Final = "case"
"""What a case is called, with a number, whose scenario's name would say too much."""


def is_numbered(case_id: str) -> bool:
    """Whether its id keeps to itself which scenario the case is of."""
    return case_id.rpartition("-")[0] == NUMBERED
