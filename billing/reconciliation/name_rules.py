"""Dated rules by which a vendor's names mean ours: a model's name, a display name or a meter to our model and unit.

CSV `vendor,text,model,unit,valid_from,valid_to`. `text` is what the vendor writes, as `reconcile` shows it: the name of
a model, or the wording of a line (a meter, a usage type); without regard to case; a `*` at its end takes all that
begins so. `model` is our name for it, `unit` a unit of the contract; one of them may be empty and then stays as it was
read. Days are the vendor's. A rule for the whole text goes before one with a star, a longer one before a shorter. A row
replaces an earlier one of the same vendor, text and valid_from; nothing is overwritten.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

from billing.csv_file import CellError, Columns, read_file
from billing.errors import CellProblem, FileRefused
from billing.invoices.errors import VendorsRefused
from billing.invoices.lines import LineKind
from billing.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from billing.invoices.lines import VendorLine

COLUMNS = Columns(("vendor", "text"), ("model", "unit", "valid_from", "valid_to"))
RULES_LOCK = 0x6A620012
_USED = frozenset({LineKind.USAGE, LineKind.QUANTITY, LineKind.TOTAL})
_UNIT = re.compile(r"[a-z][a-z0-9_]{0,62}")


@dataclass(frozen=True, slots=True)
class NameRule:
    """`text` in lower case. `model` or `unit` None: as it was read."""

    vendor: str
    text: str
    model: str | None
    unit: str | None
    valid_from: date | None = None
    valid_to: date | None = None

    def takes(self, name: str | None, day: date) -> bool:
        """Whether a name of that day is meant."""
        if name is None or (self.valid_from is not None and day < self.valid_from):
            return False
        if self.valid_to is not None and day >= self.valid_to:
            return False
        said = name.lower()
        return said.startswith(self.text[:-1]) if self.text.endswith("*") else said == self.text


def renamed(lines: Iterable[VendorLine], rules: Sequence[NameRule]) -> list[VendorLine]:
    """The lines of use under our names: by their model's name first, then by their wording."""
    ordered = sorted(rules, key=lambda rule: (rule.text.endswith("*"), -len(rule.text), rule.text))
    return [_renamed(line, ordered) if ordered and line.kind in _USED else line for line in lines]


def _renamed(line: VendorLine, rules: Sequence[NameRule]) -> VendorLine:
    for name in (line.model, line.text):
        rule = next((rule for rule in rules if rule.takes(name, line.day)), None)
        if rule is not None:
            model = rule.model if rule.model is not None else line.model
            unit = rule.unit if rule.unit is not None and line.unit is not None else line.unit
            return replace(line, model=model, unit=unit)
    return line


def read_rules_file(raw: bytes, name: str) -> list[NameRule]:
    """The rules of a file. Raises FileRefused naming every problem."""
    read = read_file(raw, name, COLUMNS, _row)
    first_line: dict[tuple[str, str, date | None], int] = {}
    problems = []
    for line, rule in read:
        first = first_line.setdefault((rule.vendor, rule.text, rule.valid_from), line)
        if first != line:
            remedy = Sentence(
                "line %(first)s says what it means from %(valid_from)s on: keep one",
                first=first,
                valid_from=rule.valid_from or Sentence("the beginning"),
            )
            problems.append(CellProblem(name, line, "text", rule.text, remedy))
    if problems:
        raise FileRefused(problems)
    return [rule for _, rule in read]


def with_new(known: Iterable[NameRule], new: Iterable[NameRule]) -> list[NameRule]:
    """The rows of `new` that change the rules. Raises VendorsRefused where two rules of a text overlap in time."""
    rules = {(rule.vendor, rule.text, rule.valid_from): rule for rule in known}
    changed = []
    for rule in new:
        if rules.get((rule.vendor, rule.text, rule.valid_from)) != rule:
            rules[rule.vendor, rule.text, rule.valid_from] = rule
            changed.append(rule)
    rows = sorted(rules.values(), key=lambda rule: (rule.vendor, rule.text, rule.valid_from or date.min))
    for earlier, later in pairwise(rows):
        same = (earlier.vendor, earlier.text) == (later.vendor, later.text)
        if same and (earlier.valid_to is None or earlier.valid_to > (later.valid_from or date.min)):
            raise VendorsRefused(
                Sentence(
                    "%(vendor)s's %(text)s has two meanings on %(valid_from)s: give the rule from "
                    "%(earlier_from)s the valid_to %(valid_from)s; nothing was imported",
                    vendor=later.vendor,
                    text=repr(later.text),
                    valid_from=later.valid_from,
                    earlier_from=earlier.valid_from or Sentence("the beginning"),
                )
            )
    return changed


def read_rules(connection: Connection, vendor: str | None = None) -> list[NameRule]:
    """The rules that count, of one vendor or of all."""
    rows = connection.execute(
        text("""select distinct on (vendor, text, valid_from) vendor, text, model, unit, valid_from, valid_to
                from vendor_name_rule where cast(:vendor as text) is null or vendor = :vendor
                order by vendor, text, valid_from nulls first, id desc"""),
        {"vendor": vendor},
    )
    return [NameRule(*row) for row in rows]


def add_rules(connection: Connection, new: Sequence[NameRule], actor: str) -> list[NameRule]:
    """Add what changes the rules, in the caller's transaction; the billing login. Returns those rows."""
    connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": RULES_LOCK})
    changed = with_new(read_rules(connection), new)
    if changed:
        connection.execute(
            text("""insert into vendor_name_rule (vendor, text, model, unit, valid_from, valid_to, actor)
                    values (:vendor, :text, :model, :unit, :valid_from, :valid_to, :actor)"""),
            [{**asdict(rule), "actor": actor} for rule in changed],
        )
    return changed


def _row(cells: Mapping[str, str]) -> NameRule:
    said, model, unit = cells["text"].strip().lower(), cells.get("model") or None, cells.get("unit") or None
    if not cells["vendor"]:
        raise CellError("vendor", "", "name the vendor as the register does")
    if not said or said == "*":
        raise CellError("text", cells["text"], "write what the vendor writes; a star alone would take everything")
    if "*" in said[:-1]:
        raise CellError("text", cells["text"], "a star stands at the end only")
    if model is None and unit is None:
        raise CellError("model", "", "say which model of ours, or which unit, the text means")
    if unit is not None and not _UNIT.fullmatch(unit):
        raise CellError("unit", unit, "use a unit of the contract such as input_tokens")
    start, end = _day("valid_from", cells.get("valid_from")), _day("valid_to", cells.get("valid_to"))
    if start is not None and end is not None and end <= start:
        raise CellError("valid_to", cells.get("valid_to") or "", "it must be later than valid_from")
    return NameRule(cells["vendor"], said, model, unit, start, end)


def _day(column: str, value: str | None) -> date | None:
    if not value:
        return None
    try:
        found = date.fromisoformat(value)
    except ValueError:
        found = None
    if found is None or found.isoformat() != value:
        raise CellError(column, value, "write a day as 2026-10-01, in the vendor's zone")
    return found
