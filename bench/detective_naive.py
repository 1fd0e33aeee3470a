"""The floors of `lab.bench.floors`, and chance, on the cases that detectives are measured on."""

from __future__ import annotations

from detective_cases import Measured

from lab.bench.floors import NAIVE, Seen, error_else_growth

__all__ = ["NAIVE", "Seen", "chance", "error_else_growth"]


def chance(case: Measured, seen: Seen) -> float:
    """How probable it is that an operation drawn by lot is right."""
    operations = {operation for profile in seen.hurt for operation in profile.spans}
    right = sum(case.is_right(seen.pick(each)) for each in operations)
    return right / len(operations) if operations else 0.0
