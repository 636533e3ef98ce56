"""One screen: everything that matters of a demo's run, at most 45 lines of 100 columns, in Korean or English."""

from __future__ import annotations

import shlex
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from jangbu.demo.departments import BY_CODE
from jangbu.demo.figures import SEAT_PRICE
from jangbu.demo.gateway import HANDOVERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jangbu.demo.figures import Class, Figures
    from jangbu.demo.messages import Language, Words

WIDTH = 100
LEFT_WIDTH = 45
COUNT_WIDTH = 6
BAR_WIDTH = 44
BAR_WIDTH_MIN = 10
NAME_WIDTH = 8
HEAD, FIGURE, QUIET, GOOD, BAD, BAR = "bold cyan", "bold", "dim", "green", "bold red", "cyan"


def print_screen(figures: Figures, words: Words, language: Language) -> None:
    """Print it on standard output: in colour on a terminal, 100 columns of plain text elsewhere."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH)
    near = replace(figures, directory=_from_here(figures.directory))
    print_on(console, screen(near, words, language, console.width))


def print_on(console: Console, shown: RenderableType) -> None:
    """Print a screen; lines to be copied may be longer than the others (`crop`)."""
    console.print(shown, width=min(console.width, WIDTH), crop=False)


def _from_here(directory: str) -> str:
    """As somebody would write it who stands in the working directory."""
    path = Path(directory)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else directory


def screen(figures: Figures, words: Words, language: Language, width: int = WIDTH) -> RenderableType:
    """The screen as something that rich prints, for a terminal of so many columns; 80 are enough."""
    width = min(width, WIDTH)
    bar = max(BAR_WIDTH - (WIDTH - width), BAR_WIDTH_MIN)
    return Group(
        _title(figures, words),
        _two_columns(_came_in(figures, words), _dropped(figures, words, width)),
        _month(figures, words, bar),
        _largest(figures, words, language, bar),
        _bridge(figures, words),
        "",
        _end(figures, words, width),
    )


def _title(figures: Figures, words: Words) -> RenderableType:
    seconds = f"{figures.total_seconds:.0f}"
    subtitle = words["subtitle"].format(month=figures.plan.month, seed=figures.plan.seed, seconds=seconds)
    return Text.assemble((f" {words['title']} ", "bold white on blue"), "  ", (subtitle, QUIET), "\n")


def _two_columns(left: RenderableType, right: RenderableType) -> RenderableType:
    table = Table.grid()
    table.add_column(width=LEFT_WIDTH)
    table.add_column()
    table.add_row(left, right)
    return table


def _came_in(figures: Figures, words: Words) -> RenderableType:
    stored = figures.stored
    formats = len({handover.format for handover in HANDOVERS})
    rows = (
        (figures.delivered.lines, words["lines"].format(files=len(HANDOVERS), formats=formats)),
        (figures.accepted, words["accepted"]),
        (stored.records, words["records"]),
        (stored.stored, words["stored"]),
        (figures.delivered.late, words["late"]),
        (stored.people, words["people"].format(all=f"{figures.plan.users:,}")),
        (stored.models, words["models"].format(departments=stored.departments)),
    )
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right", style=FIGURE, width=9)
    table.add_column()
    for count, what in rows:
        table.add_row(f"{count:,}", what)
    return Group(Text(words["came_in"], HEAD), table)


def _dropped(figures: Figures, words: Words, width: int) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right", style=FIGURE, width=COUNT_WIDTH)
    table.add_column()
    table.add_row(f"{figures.stored.duplicates:,}", words["duplicates"])
    for counts, head in ((figures.refused, "refused"), (figures.quarantined, "quarantined")):
        reasons = [f"{words.get(f'code_{code}', code)} {count:,}" for code, count in counts.items()]
        lines = _wrapped([Text(reason) for reason in reasons], " · ", width - LEFT_WIDTH - COUNT_WIDTH - 2)
        lines.stylize(QUIET)
        table.add_row(f"{sum(counts.values()):,}", Text.assemble(words[head], "\n", lines))
    return Group(Text(words["dropped"], HEAD), table)


def _wrapped(parts: Sequence[Text], gap: str, width: int) -> Text:
    """Parts with gaps between them, in lines that cut no part; width in terminal cells (Hangul takes two)."""
    told = Text()
    used = 0
    for part in parts:
        if used and used + len(gap) + part.cell_len > width:
            told.append("\n")
            used = 0
        elif used:
            told.append(gap)
            used += len(gap)
        told.append_text(part)
        used += part.cell_len
    return told


def _month(figures: Figures, words: Words, bar: int) -> RenderableType:
    rows = (
        (words["usage_bar"], figures.total, GOOD),
        (words["seats_users"], figures.seats_of_users, BAR),
        (words["seats_all"], figures.seats_of_all, BAR),
    )
    most = max(amount for _, amount, _ in rows) or Decimal(1)
    table = Table.grid(padding=(0, 1))
    table.add_column(width=20)
    table.add_column(justify="right", style=FIGURE, width=12)
    table.add_column(width=bar)
    for name, amount, style in rows:
        table.add_row(name, f"{amount:,f}", Text("█" * max(1, int(amount * bar / most)), style))
    people = figures.stored.people
    a_person = figures.total / people if people else Decimal(0)
    told = (words["per_person"].format(amount=f"{a_person:,.0f}"),
            words["unattributed"].format(amount=f"{figures.unattributed:,f}"))
    notes = [" · ".join(told)]
    if figures.unpriced_models:
        models, tokens = ", ".join(figures.unpriced_models), f"{figures.unpriced_quantity:,}"
        notes.append(words["unpriced"].format(models=models, tokens=tokens))
    return _section(words["month_head"].format(seat=f"{SEAT_PRICE:,f}"), table, Text("\n".join(notes), QUIET))


def _largest(figures: Figures, words: Words, language: Language, bar: int) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    table.add_column(style=QUIET, width=5)
    table.add_column(width=34)
    table.add_column(justify="right", style=FIGURE, width=12)
    table.add_column(width=bar)
    most = max((one.total for one in figures.largest), default=Decimal(1)) or Decimal(1)
    for one in figures.largest:
        name = one.name
        if language == "en" and one.code in BY_CODE:
            name = f"{name} {BY_CODE[one.code].english}"
        table.add_row(one.code, name, f"{one.total:,f}", Text("█" * max(1, int(one.total * bar / most)), BAR))
    return _section(words["largest"].format(count=figures.statements), table)


def _bridge(figures: Figures, words: Words) -> RenderableType:
    signed = [f"{'+' if one.found > 0 else ''}{_money(one.found)}" for one in figures.classes]
    ours, *found, invoice = _aligned([_money(figures.ours), *signed, _money(figures.invoice)])
    table = Table.grid(padding=(0, 1))
    table.add_column(width=11)
    table.add_column(style=FIGURE, no_wrap=True)
    table.add_column()
    all_found = all(one.agrees for one in figures.classes)
    agree = words["agree" if all_found else "agree_not"].format(groups=f"{figures.matched_groups:,}")
    table.add_row(words["ours"], ours, Text(agree, QUIET))
    for one, amount in zip(figures.classes, found, strict=True):
        table.add_row(one.cls, amount, _planted(one, words))
    good = GOOD if figures.proof_difference == 0 else BAD
    proof = Text(words["proof"].format(difference=_money(figures.proof_difference)), good)
    table.add_row(Text(words["invoice"], FIGURE), invoice, proof)
    head = words["bridge"].format(vendor=figures.vendor, month=figures.plan.month, currency=figures.vendor_currency)
    return _section(head, table)


def _aligned(amounts: Sequence[str]) -> list[str]:
    """Amounts of equal width with their decimal points below each other (rich strips blanks behind a right column)."""
    parts = [amount.partition(".") for amount in amounts]
    before = max(len(whole) for whole, _, _ in parts)
    behind = max(len(point + fraction) for _, point, fraction in parts)
    return [f"{whole:>{before}}{point + fraction:<{behind}}" for whole, point, fraction in parts]


def _planted(one: Class, words: Words) -> Text:
    """What was planted, and whether exactly that was found."""
    if one.planted is None:
        return Text(f"✘ {words['planted_none']}", BAD)
    what = words[f"planted_{one.cls}"].format(**one.planted.facts)
    if one.agrees:
        return Text.assemble((f"✔ {words['found']} ", GOOD), what)
    return Text.assemble((f"✘ {words['found_other'].format(amount=_money(one.planted.amount))} ", BAD), what)


def _end(figures: Figures, words: Words, width: int) -> RenderableType:
    held = [law for law in figures.laws if not law.violations]
    told = Text(words["laws_hold"].format(held=len(held), all=len(figures.laws)),
                GOOD if len(held) == len(figures.laws) else BAD)  # fmt: skip
    marked = [Text(f"{law.law} {'✔' if not law.violations else '✘'}", QUIET if not law.violations else BAD)
              for law in figures.laws]  # fmt: skip
    laws = _wrapped([told, *marked], "  ", width - NAME_WIDTH - 1)
    speed = words["speed_line"].format(
        rate=f"{figures.events_a_second:,}", records=f"{figures.stored.records:,}",
        seconds=f"{figures.path_seconds:.1f}", processors=figures.processors)  # fmt: skip
    month, data = figures.plan.month, f"--data-dir {shlex.quote(f'{figures.directory}/data')}"
    look = (f"jangbu statement list {month}", f"jangbu reconcile --vendor {figures.vendor} --month {month}")
    rows: Mapping[str, str | Text] = {
        "laws": laws,
        "speed": speed,
        "hash": Text.assemble(figures.statements_hash, (f" {words['hash_of']}", QUIET)),
        "files": words["files_line"].format(directory=figures.directory),
    }
    table = Table.grid(padding=(0, 1))
    table.add_column(style=HEAD, width=NAME_WIDTH)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(words[name], value)
    # Lines to be copied are never broken, whatever the directory's length.
    name = words["look"] + " " * (NAME_WIDTH - cell_len(words["look"]))
    looks = [Text.assemble((name if not place else " " * NAME_WIDTH, HEAD), f" {command} {data}", no_wrap=True,
                           overflow="ignore") for place, command in enumerate(look)]  # fmt: skip
    return Group(table, *looks)


def _section(head: str, *parts: RenderableType) -> RenderableType:
    return Group("", Text(head, HEAD), *parts)


def _money(amount: Decimal) -> str:
    """Every digit that counts."""
    return f"{amount.normalize() if amount else Decimal(0):,f}"
