"""The safety lever as commands: stop-harm, allow-harm."""

from __future__ import annotations

import typer

from lab import bootstrap
from lab.commands.common import JsonOption, console, notes, print_json, run_async
from lab.ports.warden import Removal
from lab.settings import Settings

_REFUSED = "no lease is given until `lab allow-harm`"


def stop_harm(as_json: JsonOption = False) -> None:
    """End every lease at once, heal, and let nobody hurt the shop until `lab allow-harm`.

    A run or a hold that is at work ends. Works with the stack down too: the warden obeys
    from its start on.
    """
    settings = Settings()

    async def pull() -> Removal | None:
        async with bootstrap.lever(settings) as lever:
            return await lever.stop()

    # A warden that hangs is waited for; the mark on disk, which it will find, was set before.
    with notes.status("ending all harm"):
        removal = run_async(pull)
    if as_json:
        print_json(
            {
                "harm_stopped": True,
                "warden_answers": removal is not None,
                "removed": removal and removal.count,
                "proven_clean": removal and removal.proven_clean,
            }
        )
    elif removal is None:
        console.print(
            f"harm is stopped: {_REFUSED}. The warden does not answer; it obeys, and removes what "
            "may be left, as soon as it runs: `lab status` shows it, `lab up` starts it",
            soft_wrap=True,
        )
    else:
        clean = "clean" if removal.proven_clean else "NOT clean: `lab heal` says more"
        console.print(f"harm is stopped: {_REFUSED}", soft_wrap=True)
        console.print(f"{removal.count or 'nothing'} removed; the shop is {clean}")
    if removal is not None and not removal.proven_clean:
        raise typer.Exit(2)


def allow_harm(as_json: JsonOption = False) -> None:
    """Let the warden give leases again, after `lab stop-harm`."""
    settings = Settings()

    async def release() -> None:
        async with bootstrap.lever(settings) as lever:
            await lever.allow()

    run_async(release)
    if as_json:
        print_json({"harm_stopped": False})
    else:
        console.print("harm is allowed: runs and holds may hurt the shop again")
