"""A machine that is as strained as a test wants it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from lab.ports.machine import Strain

AT_REST: Final = Strain(longest_stall_s=0.0, busy=0.0)


@dataclass
class MemoryMachine:
    """`Machine` under a strain that is given; at rest by default."""

    strain: Strain = AT_REST

    @contextlib.contextmanager
    def watch(self) -> Iterator[Callable[[], Strain]]:
        """Tell the strain, however often and whenever asked."""
        yield lambda: self.strain
