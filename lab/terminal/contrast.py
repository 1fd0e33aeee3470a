"""What sets the hurt requests apart, as tables: what separates best first."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lab.domain.wording import duration
from lab.investigation.reading.contrast import Amount, Contrasts
from lab.terminal.tables import plain_table
from lab.terminal.text import clean


def contrast_tables(found: Contrasts, *, limit: int) -> RenderableType:
    """What is said, then how long, how much and how often; of each what separates best."""
    hurt = "hurt" if found.at_edge else "incident"
    others = ["healthy", *(["unhurt"] if found.unhurt else [])]
    parts = [
        Text(f"{_compared(found)}. A difference is a lead and no proof: what suffers differs too."),
        *_part("What they say: share of the requests", _row_table(found, hurt, others, limit)),
        Text(_rows_shown(limit, len(found.rows), "no value sets them apart"), style="dim"),
        *_part("How long, how much, how often: medians", _amount_table(found, hurt, others, limit)),
        Text(_rows_shown(limit, len(found.amounts), "no amount sets them apart"), style="dim"),
        Text(
            "separates: +1.00 every hurt one has more than any healthy one, -1.00 less, 0 as often "
            "the one as the other\ntook: the longest   self, wire: the sum over a trace   calls: "
            "the most under one parent",
            style="dim",
        ),
    ]
    return Group(*parts)


def _compared(found: Contrasts) -> str:
    unhurt = f", and {found.unhurt} of the incident that were well" if found.unhurt else ""
    if found.at_edge:
        return f"{found.hurt} kept traces of hurt requests beside {found.healthy} of before{unhurt}"
    kept = f"the {found.hurt} kept traces of the incident beside {found.healthy} of before"
    return f"Hardly a request was hurt at the edge: {kept}"


def _part(heading: str, table: Table) -> tuple[RenderableType, ...]:
    return (Text(f"\n{heading}", style="bold"), table) if table.row_count else ()


def _rows_shown(limit: int, total: int, nothing: str) -> str:
    return f"{min(limit, total)} of {total} rows" if total else nothing


def _row_table(found: Contrasts, hurt: str, others: list[str], limit: int) -> Table:
    numbers = (hurt, *others, "separates")
    table = plain_table("where", "what", "value", *numbers, fold=("value",), right=numbers)
    for row in found.rows[:limit]:
        shares = [row.hurt_share, row.healthy_share, row.unhurt_share][: 1 + len(others)]
        table.add_row(
            *(Text(clean(each, most)) for each, most in _named(row.where, row.key, row.value)),
            *(f"{each:.0%}" for each in shares),
            f"{row.difference:+.2f}",
        )
    return table


def _named(where: str, key: str, value: str) -> tuple[tuple[str, int], ...]:
    return (where, 40), (key, 60), (value, 120)


def _amount_table(found: Contrasts, hurt: str, others: list[str], limit: int) -> Table:
    numbers = (hurt, *others, "separates")
    table = plain_table("where", "operation", "what", *numbers, fold=("operation",), right=numbers)
    for each in found.amounts[:limit]:
        operation = each.operation or ("no request began it" if each.begun_by != "request" else "")
        medians = [each.hurt, each.healthy, each.unhurt][: 1 + len(others)]
        table.add_row(
            Text(clean(each.where, 40)),
            Text(clean(operation, 120)),
            Text(clean(each.quantity, 60)),
            *(_measured(each, value) for value in medians),
            f"{each.separation:+.2f}",
        )
    return table


def _measured(amount: Amount, value: float | None) -> str:
    if value is None:
        return ""
    return (
        duration(value) if amount.is_time else f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
    )
