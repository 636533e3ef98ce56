"""Files of allocation rules.

CSV `rule,pool,amount,currency,basis,departments,shares,valid_from,valid_to,source`:
* `pool`: `fixed` (with `amount` and `currency`, each month), `term` or `term:NAME` (what contract terms leave to be
  paid), `invoice_tax:VENDOR`, `invoice_fee:VENDOR`, `invoice_credit:VENDOR`, `invoice_difference:VENDOR`,
  `unattributed`, or `none`, which ends the rule;
* `basis`: `tokens`, `cost` (both also of one vendor only: `cost:VENDOR`), `users`, `headcount` or `shares`;
* `departments`: codes separated by `;`, empty for all; `shares`: `D001=60; D002=40`, with the basis `shares` only;
* `valid_from`, `valid_to`: months as 2026-10, half-open.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast, get_args

from billing.allocation.rules import INVOICE_POOLS, Basis, PoolKind, Rule, conflicts
from billing.csv_file import CellError, Columns, read_file
from billing.errors import CellProblem, FileRefused
from billing.money import MINOR_DIGITS, parse_amount
from billing.sentences import Sentence, said_by

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

COLUMNS = Columns(
    ("rule", "pool", "valid_from"),
    ("amount", "currency", "basis", "departments", "shares", "valid_to", "source"),
)
RULE_CHARACTERS_MAX = 120
_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")


@dataclass(frozen=True, slots=True)
class KnownNames:
    """What a rule may name: vendors of the register, and departments that use, roster or register know."""

    vendors: Collection[str]
    departments: Collection[str]


def read_rules_file(raw: bytes, name: str, known: KnownNames) -> list[tuple[int, Rule]]:
    """The rows of a file as (line, rule), with id 0. Raises FileRefused naming everything that is wrong."""
    read = read_file(raw, name, COLUMNS, lambda cells: _row(cells, name, known))
    problems = []
    first_line: dict[tuple[str, str], int] = {}
    for line, row in read:
        first = first_line.setdefault(row.key, line)
        if first != line:
            remedy = Sentence(
                "line %(first)s says from %(valid_from)s on what the rule shares: keep one",
                first=first,
                valid_from=row.valid_from,
            )
            problems.append(CellProblem(name, line, "rule", row.rule, remedy))
    if problems:
        raise FileRefused(problems)
    return read


def refuse_conflicts(held: Sequence[Rule], new: Sequence[tuple[int, Rule]], name: str) -> None:
    """Refuse a file whose rows share a pool that another rule shares in the same month.

    `held` are the rows of the book with those of the file added. Raises FileRefused.
    """
    lines = {row.key: line for line, row in new}
    problems = []
    for conflict in conflicts(held):
        ours = conflict.second if conflict.second.key in lines else conflict.first
        other = conflict.first if ours is conflict.second else conflict.second
        if ours.key in lines:
            remedy = Sentence(
                "rule %(rule)s shares that pool in %(month)s already: a pool is shared "
                "once; end one of the rules with a row of pool none",
                rule=repr(other.rule),
                month=conflict.month,
            )
            problems.append(CellProblem(name, lines[ours.key], "pool", ours.pool_name, remedy))
    if problems:
        raise FileRefused(problems)


def _row(cells: Mapping[str, str], name: str, known: KnownNames) -> Rule:
    rule = cells["rule"]
    if not rule or len(rule) > RULE_CHARACTERS_MAX:
        raise CellError(
            "rule", rule[:60], Sentence("name the rule, in at most %(most)s characters", most=RULE_CHARACTERS_MAX)
        )
    pool, pool_of = _pool(cells["pool"], known)
    basis, basis_of = _basis(cells.get("basis", ""), pool, known)
    amount, currency = _amount(cells.get("amount", ""), cells.get("currency", ""), pool)
    shares = _shares(cells.get("shares", ""), basis, known)
    valid_from = _month("valid_from", cells["valid_from"])
    end = cells.get("valid_to", "")
    valid_to = _month("valid_to", end) if end else None
    if valid_to is not None and valid_to <= valid_from:
        raise CellError("valid_to", end, "end after valid_from, or leave it empty (a row of pool none ends a rule)")
    return Rule(
        0, rule, pool, pool_of, amount, currency, basis, basis_of,
        _departments(cells.get("departments", ""), basis, known), shares, valid_from, valid_to,
        cells.get("source") or name,
    )  # fmt: skip


def _pool(text: str, known: KnownNames) -> tuple[PoolKind, str | None]:
    kind, separator, detail = text.partition(":")
    kind, detail = kind.strip(), detail.strip()
    if kind not in get_args(PoolKind):
        raise CellError("pool", text, Sentence("use one of %(known)s", known=", ".join(get_args(PoolKind))))
    if kind in INVOICE_POOLS:
        _vendor("pool", text, detail, known)
    elif separator and (kind != "term" or not detail):
        alone = Sentence("write %(kind)s alone", kind=kind)
        raise CellError("pool", text, "write term or term:NAME" if kind == "term" else alone)
    return cast("PoolKind", kind), detail or None


def _basis(text: str, pool: PoolKind, known: KnownNames) -> tuple[Basis, str | None]:
    kind, separator, detail = text.partition(":")
    kind, detail = kind.strip(), detail.strip()
    if pool == "none":
        if text:
            raise CellError("basis", text, "leave it empty: a row of pool none ends its rule")
        return "", None
    if not kind or kind not in get_args(Basis):
        raise CellError(
            "basis", text, Sentence("use one of %(known)s", known=", ".join(word for word in get_args(Basis) if word))
        )
    if separator:
        if kind not in ("tokens", "cost"):
            raise CellError(
                "basis", text, Sentence("write %(kind)s alone: only tokens and cost can be of one vendor", kind=kind)
            )
        _vendor("basis", text, detail, known)
    return cast("Basis", kind), detail or None


def _vendor(column: str, text: str, detail: str, known: KnownNames) -> None:
    if detail not in known.vendors:
        names = ", ".join(sorted(known.vendors)) or "none"
        raise CellError(
            column, text, Sentence("name a vendor of the register behind the colon (known: %(names)s)", names=names)
        )


def _amount(text: str, currency: str, pool: PoolKind) -> tuple[Decimal | None, str | None]:
    if pool != "fixed":
        if text:
            raise CellError(
                "amount", text, Sentence("leave it empty: the amount of pool %(pool)s is found, not given", pool=pool)
            )
        if currency:
            raise CellError(
                "currency",
                currency,
                Sentence("leave it empty: the amount of pool %(pool)s is found, not given", pool=pool),
            )
        return None, None
    try:
        amount = parse_amount(text.removeprefix("-"))
    except ValueError as error:
        raise CellError("amount", text, said_by(error)) from None
    if not amount:
        raise CellError("amount", text, "give the amount that is shared each month; a row of pool none ends a rule")
    if currency not in MINOR_DIGITS:
        raise CellError("currency", currency, "use an ISO 4217 code in capitals, such as USD or KRW")
    return (-amount if text.startswith("-") else amount), currency


def _departments(text: str, basis: Basis, known: KnownNames) -> tuple[str, ...]:
    codes = tuple(dict.fromkeys(part.strip() for part in text.split(";") if part.strip()))
    if codes and basis in ("shares", ""):
        raise CellError(
            "departments", text, ("leave it empty: shares name the departments" if basis else "leave it empty")
        )
    for code in codes:
        _department("departments", code, known)
    return codes


def _shares(text: str, basis: Basis, known: KnownNames) -> tuple[tuple[str, Decimal], ...]:
    if basis != "shares":
        if text:
            raise CellError("shares", text, "leave it empty, or write shares as the basis")
        return ()
    found: dict[str, Decimal] = {}
    for part in text.split(";"):
        code, equals, weight = (piece.strip() for piece in part.rpartition("="))
        if not part.strip():
            continue
        if not equals or not code:
            raise CellError("shares", part.strip(), "write each share as DEPARTMENT=WEIGHT, separated by ;")
        _department("shares", code, known)
        if code in found:
            raise CellError("shares", code, "the department stands twice: keep one")
        try:
            found[code] = parse_amount(weight)
        except ValueError as error:
            raise CellError("shares", part.strip(), said_by(error)) from None
    if not any(found.values()):
        raise CellError("shares", text, "give at least one share above 0, as in D001=60; D002=40")
    return tuple(found.items())


def _department(column: str, code: str, known: KnownNames) -> None:
    if code not in known.departments:
        raise CellError(column, code, "no use, roster or register names this department: correct it or import it first")


def _month(column: str, text: str) -> str:
    if not _MONTH.fullmatch(text) or text.startswith("0000"):
        raise CellError(column, text, "write a month as 2026-10")
    return text
