"""Starting parts that need each other: each as early as it can, none before its turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Final

from lab.adapters.stack.local_parts import Part
from lab.adapters.stack.readiness import until_ready
from lab.adapters.stack.supervisor import ProcessState, Supervisor
from lab.errors import StackNotReady, WaitTimeout

_LOOK_EVERY_S: Final = 0.2
_STOP_S: Final = 10.0
_UNWELL_FOR_S: Final = 5.0
"""Far beyond a stall: a part that does not answer for so long does not get ready by itself."""

STARTING_S: Final = 30.0
"""A program that runs for less may still read what it wrote before; beyond, it should answer."""

_GIVEN_UP: Final = frozenset({"BACKOFF", "EXITED", "FATAL", "UNKNOWN"})


class Startup:
    """One start of the stack."""

    def __init__(self, parts: tuple[Part, ...], supervisor: Supervisor) -> None:
        self._parts = parts
        self._supervisor = supervisor
        self._ready = {part.name: asyncio.Event() for part in parts}
        self._started: dict[str, int | None] = {}
        self._states: Mapping[str, ProcessState] = {}
        self.revived: dict[str, str] = {}
        """Part that ran and was not ready, so that it was started anew → what it had said."""

    async def run(self) -> AsyncIterator[Part]:
        """Start what does not run; yields each part once it is ready.

        StackNotReady names the first part that died, or that was not ready at
        its deadline, with the end of its log.
        """
        self._states = await self._supervisor.states() or {}
        watch = asyncio.create_task(self._watch())
        waits = [asyncio.create_task(self._bring_up(part)) for part in self._parts]
        try:
            for done in asyncio.as_completed(waits):
                yield await done
        finally:
            for task in (watch, *waits):
                task.cancel()
            await asyncio.gather(watch, *waits, return_exceptions=True)

    async def _bring_up(self, part: Part) -> Part:
        for name in part.needs:
            await self._ready[name].wait()
        if part.starts and part.program is not None:
            await self._stop_if_unwell(part, part.program)
            await self._start(part.program)
        try:
            await until_ready(
                f"{part.name} to be ready",
                lambda: self._probe(part),
                deadline_s=part.deadline_s,
            )
        except WaitTimeout as timeout:
            raise StackNotReady(self._explain(part, str(timeout))) from timeout
        if part.finish is not None:
            await part.finish()
        self._ready[part.name].set()
        return part

    async def _stop_if_unwell(self, part: Part, program: str) -> None:
        """A part may run and have lost its readiness for good; it is started anew then."""
        state = self._states.get(program)
        if state is None or not state.is_up or state.uptime_s < STARTING_S:
            return
        try:
            await until_ready(f"{part.name} to answer", part.probe, deadline_s=_UNWELL_FOR_S)
        except WaitTimeout as timeout:
            self.revived[part.name] = timeout.last_seen
            await self._supervisor.stop(state)
            self._states = await self._supervisor.states() or self._states

    async def _start(self, program: str) -> None:
        state = self._states.get(program)
        if state is None:
            raise StackNotReady(
                f"expected {program} among the programs of the running stack, found "
                f"{', '.join(self._states) or 'none'}; `lab down`, then `lab up`"
            )
        await until_ready(
            f"{program} to have stopped", lambda: self._stopping(program), deadline_s=_STOP_S
        )
        if not self._states[program].is_up:
            await self._supervisor.start(state)
        self._states = await self._supervisor.states() or self._states
        self._started[program] = self._states[program].pid

    async def _stopping(self, program: str) -> str | None:
        return "stopping" if self._states[program].state == "STOPPING" else None

    async def _probe(self, part: Part) -> str | None:
        """Look, but give up at once on a part whose process died."""
        program = part.program or ""
        state = self._states.get(program)
        if state is not None and program in self._started:
            # Supervisord may have started it anew before anybody looked.
            is_another = state.pid is not None and state.pid != self._started[program]
            if is_another or state.state in _GIVEN_UP:
                # Else supervisord would start it again and again for nothing.
                await self._supervisor.stop(state)
                raise StackNotReady(self._explain(part, f"its process ended ({state.detail})"))
        return await part.probe()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            self._states = await self._supervisor.states() or self._states

    def _explain(self, part: Part, found: str) -> str:
        if part.program is None:
            return f"{part.name} is not ready: {found}"
        log = part.name if part.name != part.program else part.program
        return (
            f"{part.name} is not ready: {found}. The end of {self._supervisor.log_of(log)}:\n"
            f"{self._supervisor.last_lines(log)}"
        )
