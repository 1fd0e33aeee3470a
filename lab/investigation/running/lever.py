"""The safety lever: no harm in this shop, whoever asks, until somebody allows it again."""

from __future__ import annotations

from lab.errors import LeaseError, PartFailed, StackNotReady
from lab.frozen import dataclass
from lab.ports.warden import HarmMark, Removal, Warden


@dataclass(frozen=True, slots=True)
class Lever:
    """Both ways to the warden: its HTTP, and the ``mark`` on the disk it shares with us.

    ``mark`` is None where the warden keeps its own elsewhere, in a container or a cluster.
    Then only a warden that answers can be told.
    """

    warden: Warden
    mark: HarmMark | None

    async def stop(self) -> Removal | None:
        """Stop all harm; None where the warden is down, and obeys once it starts.

        StackNotReady where it is down and shares no disk with us, and OSError where that
        disk refuses besides: then nothing was stopped. LeaseError where it is stopped,
        and the warden could not do all the rest.
        """
        unkept = None
        try:
            if self.mark is not None:
                # First of all: a warden that hangs finds it, and so does the next one.
                self.mark.set()
        except OSError as error:
            unkept = error
        try:
            return await self.warden.stop_harm()
        except StackNotReady:
            if unkept is not None:
                raise unkept from None
            if self.mark is None:
                raise
            return None
        except PartFailed as error:
            raise LeaseError(
                "no lease is given any more, but not all harm is known to be gone, or the warden's "
                f"disk keeps no word of it: {error}"
            ) from error

    async def allow(self) -> None:
        """Allow harm again; StackNotReady as for `stop`, and then it stays stopped."""
        try:
            await self.warden.allow_harm()
        except StackNotReady:
            if self.mark is None:
                raise
            self.mark.clear()

    async def is_pulled(self) -> bool:
        """Whether harm is stopped; StackNotReady where only a warden that is down could say."""
        if self.mark is not None and self.mark.is_set():
            return True
        try:
            return await self.warden.is_harm_stopped()
        except StackNotReady:
            if self.mark is None:
                raise
            return False
