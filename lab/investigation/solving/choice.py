"""Which cases of a level there are still to solve, for whoever would rather not know its name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lab.domain.case import CaseSummary


def unsolved(
    level: int, levels: Mapping[str, int], cases: Iterable[CaseSummary]
) -> tuple[str, ...]:
    """The scenarios of ``level`` that nobody has solved or given up here, by name.

    ``levels`` has the level of each scenario that can be opened. All of that level where
    none is left: a run of another seed is another case.
    """
    of_level = tuple(sorted(name for name, each in levels.items() if each == level))
    closed = {case.scenario_id for case in cases if case.solved or case.points is not None}
    return tuple(name for name in of_level if name not in closed) or of_level
