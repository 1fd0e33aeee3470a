"""What an import says at its end: the case, and what became of every span."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.commands.common import console, lab_command, print_json
from lab.domain.wording import counted

if TYPE_CHECKING:
    from lab.adapters.cases.bring import Brought


def tell(brought: Brought, noun: str, *, as_json: bool) -> None:
    """Print what became of what was brought, which came in so many of ``noun``."""
    account = brought.account
    if as_json:
        told: dict[str, object] = {
            "case": brought.case_id,
            "is_new": brought.is_new,
            "traces": brought.traces,
            "spans": brought.spans,
        }
        if account.files:
            told |= {
                "files": account.files,
                "read": account.read,
                "duplicates": account.duplicates,
                "skipped_spans": account.skipped_spans,
                "skipped_pieces": account.skipped_pieces,
                "skipped": [str(each) for each in account.skipped],
                "remarks": account.remarks,
            }
        print_json(told)
        return
    came = "" if brought.is_new else " was here already"
    how_to = (
        f"`{lab_command()} traces {brought.case_id}` lists them, "
        f"`{lab_command()} open {brought.case_id}` shows them at the desk"
    )
    if not account.files:
        counts = f"{brought.traces} traces, {brought.spans} spans"
        console.print(f"{brought.case_id}{came}: {counts}; {how_to}", soft_wrap=True, markup=False)
        return
    console.print(f"{brought.case_id}: {_sentence(brought, noun)}", soft_wrap=True, markup=False)
    console.print(how_to, soft_wrap=True)


def _sentence(brought: Brought, noun: str) -> str:
    """What became of every span that was read."""
    account = brought.account
    told = [
        (
            f"read {counted(account.read, 'span')} in {counted(account.traces, 'trace')} of "
            f"{counted(account.files, noun)}"
        )
    ]
    if account.duplicates:
        told.append(f"{counted(account.duplicates, 'duplicate')} dropped")
    told += [f"{count:,} × {what}" for what, count in account.remarks.items()]
    if not account.is_complete:
        told.append(account.skipped_words)
    return "; ".join(told)
