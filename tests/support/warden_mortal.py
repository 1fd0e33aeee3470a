"""A Toxiproxy that is slow, late or lies, and a way to end whoever calls it, at any await."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from lab.adapters.memory.clock import FakeClock
from lab.adapters.memory.injector import MemoryInjector
from lab.domain.fault import Fault, Toxic
from lab.errors import InjectorError
from lab.ports.injector import EdgeState
from lab.warden.lease import Lease
from tests.support.warden_fakes import ListJournal, MemoryStorage, MoodyInjector, World


class Crash(BaseException):
    """`kill -9`: nothing catches it, and whoever it hit does nothing any more."""


class Fate:
    """Counts the awaits of one warden down, and ends it, or the task that is at work."""

    def __init__(self) -> None:
        self.is_dead = False
        self.cancels = False
        self._left: int | None = None
        self._call: str | None = None

    def meet_after(self, steps: int, call: str | None = None, *, cancels: bool = False) -> None:
        """Let so many steps pass; each call has one before it is carried out and one after.

        Of calls of one name alone, if ``call`` says which.
        """
        self._left, self._call, self.cancels = steps, call, cancels

    def spare(self) -> None:
        """Nothing is to happen any more."""
        self._left = None

    async def step(self, call: str) -> None:
        """One await: another task may have its turn, and this may be where it ends."""
        self._pass()
        await asyncio.sleep(0)
        self._pass()
        if self._is_now(call):
            if not self.cancels:
                self.die()
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(0)

    def step_at_once(self, call: str) -> None:
        """Before or after a write; nobody can cancel there, only kill."""
        self._pass()
        if not self.cancels and self._is_now(call):
            self.die()

    def die(self) -> None:
        """Be killed here."""
        self.is_dead = True
        raise Crash

    def _pass(self) -> None:
        if self.is_dead:
            raise Crash

    def _is_now(self, call: str) -> bool:
        if self._left is None or self._call not in (None, call):
            return False
        self._left -= 1
        if self._left >= 0:
            return False
        self._left = None
        return True

    def over(self, part: Any) -> Any:
        """``part`` as a warden under this fate calls it."""
        return _Mortal(part, self) if not inspect.isroutine(part) else _mortal(part, self)


class _Mortal:
    def __init__(self, part: Any, fate: Fate) -> None:
        self._part = part
        self._fate = fate

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._part, name)
        return _mortal(found, self._fate) if inspect.isroutine(found) else found


_READS_ONLY = frozenset({"monotonic", "unix", "is_set", "load"})


def _mortal(call: Callable[..., Any], fate: Fate) -> Callable[..., Any]:
    async def awaited(*args: Any) -> Any:
        try:
            await fate.step(call.__name__)
        except (Crash, asyncio.CancelledError):
            # What was sent may still arrive, as with a call that is cut off on its way.
            if isinstance(sends := getattr(call, "__self__", None), LyingToxiproxy):
                sends.was_cut_off(call.__name__, *args)
            raise
        answer = await call(*args)
        await fate.step(call.__name__)
        return answer

    def at_once(*args: Any) -> Any:
        if call.__name__ in _READS_ONLY:
            return call(*args)
        fate.step_at_once(call.__name__)
        answer = call(*args)
        fate.step_at_once(call.__name__)
        return answer

    return awaited if inspect.iscoroutinefunction(call) else at_once


LATE_S = 0.4
"""The warden looks a second time after half a second."""


class WatchedClock(FakeClock):
    """Tells ``moved`` whenever it was."""

    def __init__(self) -> None:
        super().__init__()
        self.moved: Callable[[], None] = lambda: None

    def advance(self, seconds: float) -> None:
        super().advance(seconds)
        self.moved()

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        self.moved()


class LyingToxiproxy(MoodyInjector):
    """Toxiproxy behind our own adapter, which reads back all that it asks for.

    A call that lies says that it is done, read-back and all, and does nothing. A listing
    may be that of some time ago. A call that is cut off on its way, or whose answer did
    not come in time, is carried out ``late_s`` later, unless that is None.
    """

    def __init__(self, diary: list[str], clock: WatchedClock) -> None:
        super().__init__(diary)
        self.lies: set[str] = set()
        self.slow_s = 0.0
        self.late_s: float | None = LATE_S
        self.times_out = False
        self.unwell_s = self.slowed_s = float("-inf")
        self.hid_harm = self.lied = False
        self.changed: Callable[[Fault], None] = lambda _: None
        self._clock = clock
        self._frozen: Mapping[str, EdgeState] | None = None
        self._on_their_way: list[tuple[float, Fault]] = []
        clock.moved = self._arrive

    @property
    def is_well(self) -> bool:
        """Whether it answers, and truthfully."""
        moods = (self.stuck, self.lies, self._frozen, self.times_out)
        return self.is_listening and not any(moods)

    def fall_into(self, mood: str) -> None:
        """Be in one more mood."""
        call, _, how = mood.partition(" ")
        if how.startswith("hang"):
            self.stuck.add(call)
        elif how == "lies":
            self.lies.add(call)
        elif call == "lists":
            clean = {name: EdgeState(name, True, ()) for name in self._edges}
            self._frozen = clean if how == "nothing" else dict(self._edges)
        elif mood == "never late":
            self.late_s = None
        self.is_listening = self.is_listening and mood != "gone"
        self.times_out = self.times_out or mood == "times out"
        self.slow_s = 0.3 if mood == "slow" else self.slow_s

    def recover(self) -> None:
        """Be well from now on."""
        self.stuck, self.lies, self.is_listening = set(), set(), True
        self._frozen, self.slow_s, self.late_s, self.times_out = None, 0.0, LATE_S, False

    async def start_anew(self) -> None:
        """A new process: clean, truthful, and nothing that was sent to the old one arrives."""
        self.unwell_s = self._clock.monotonic()
        self.recover()
        self._on_their_way.clear()
        await MemoryInjector.reset(self)

    def was_cut_off(self, name: str, *args: Any) -> None:
        """The caller is gone before it was carried out; only harm that comes late matters."""
        if name == "apply" and self.late_s is not None and self.is_listening:
            (fault,) = args
            self._on_their_way.append((self._clock.monotonic() + self.late_s, fault))

    def _arrive(self) -> None:
        now_s = self._clock.monotonic()
        for arrives_s, fault in list(self._on_their_way):
            if arrives_s <= now_s:
                self._on_their_way.remove((arrives_s, fault))
                if not self._edges[fault.edge].shows(fault) and self._edges[fault.edge].enabled:
                    self._put(fault)

    def _put(self, fault: Fault) -> None:
        edge = self._edges[fault.edge]
        toxics = edge.toxics if fault.is_down else (*edge.toxics, fault)
        self._edges[fault.edge] = EdgeState(edge.edge, not fault.is_down, toxics)
        self.changed(fault)

    async def _take_time(self, call: str) -> None:
        if self.slow_s:
            await asyncio.sleep(0)
            self._clock.advance(self.slow_s)
            self.slowed_s = self._clock.monotonic()
        if not self.is_well:
            self.unwell_s = self._clock.monotonic()
        self._do(call)

    def _listing(self) -> Mapping[str, EdgeState]:
        if self._frozen is None:
            return dict(self._edges)
        shown = self._frozen
        self.hid_harm = self.hid_harm or any(
            not edge.is_clean and shown[name] != edge for name, edge in self._edges.items()
        )
        return dict(shown)

    async def edges(self) -> Mapping[str, EdgeState]:
        await self._take_time("edges")
        return self._listing()

    async def apply(self, fault: Fault) -> None:
        await self._take_time("apply")
        seen = self._listing()[fault.edge]
        if not seen.enabled or seen.shows(fault):
            raise InjectorError(f"{fault.edge}: expected it free, found {seen}")
        if self.times_out:
            self.was_cut_off("apply", fault)
            raise InjectorError(f"expected an answer about {fault}, found none")
        if "apply" in self.lies:
            self.lied = True
            return
        if not self._edges[fault.edge].shows(fault):
            self._put(fault)
            self.diary.append(f"apply {fault.edge}")
        self._do("answers")
        if not self._listing()[fault.edge].shows(fault):
            raise InjectorError(f"expected to read back {fault}, found it gone")

    async def remove(self, fault: Fault) -> None:
        await self._take_time("remove")
        if "remove" in self.lies or not self._listing()[fault.edge].shows(fault):
            return
        await MemoryInjector.remove(self, fault)
        self.diary.append(f"remove {fault.edge}")
        self._do("answers")
        if self._listing()[fault.edge].shows(fault):
            raise InjectorError(f"expected {fault} to be gone, found it there")

    async def reset(self) -> None:
        await self._take_time("reset")
        if "reset" in self.lies:
            return
        await MemoryInjector.reset(self)
        self.diary.append("reset")
        self._do("answers")
        if not all(edge.is_clean for edge in self._listing().values()):
            raise InjectorError("expected clean edges after the reset, found others")


class WatchedJournal(ListJournal):
    """Tells ``told`` of every entry."""

    def __init__(self) -> None:
        super().__init__()
        self.told: Callable[[str, dict[str, object]], None] = lambda event, facts: None

    def record(self, event: str, **facts: object) -> None:
        self.told(event, facts)


class RememberingStorage(MemoryStorage):
    """Knows the last lease also once it is forgotten; refuses to forget one for another."""

    last: Lease | None = None

    def save(self, lease: Lease) -> None:
        assert self.lease is None or self.lease.lease_id == lease.lease_id, "two leases at once"
        super().save(lease)
        self.last = lease


class WildWorld(World):
    """A world whose Toxiproxy may be anything; probes see what really passes its edges."""

    injector: LyingToxiproxy
    storage: RememberingStorage
    journal: WatchedJournal

    def __init__(self) -> None:
        clock = WatchedClock()
        super().__init__(clock=clock, journal=WatchedJournal())
        self.injector = LyingToxiproxy(self.diary, clock)
        self.storage = RememberingStorage(self.diary)

    def blocked(self) -> set[str]:
        """Edges through which nothing passes, whatever is said of them."""
        return {
            name
            for name, edge in self.injector._edges.items()
            if not edge.enabled or any(toxic.toxic is Toxic.TIMEOUT for toxic in edge.toxics)
        }

    async def probe(self, edge: str) -> str | None:
        return f"{edge}: nothing passes" if edge in self.blocked() else None

    async def restart(self) -> None:
        await self.injector.start_anew()
        self.diary.append("restart")
