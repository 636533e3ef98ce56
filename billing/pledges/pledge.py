"""Signatures of the pledge, and what they say about a person on a day. Pure; days are the organisation's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from billing.csv_file import CellError, Columns, day_cell, read_file
from billing.errors import CellProblem, FileRefused
from billing.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

State = Literal["signed", "expiring", "expired", "outdated", "unsigned"]
STATES: tuple[State, ...] = get_args(State)
COLUMNS = Columns(required=("user", "version", "signed_on"), optional=("expires_on",))
REMIND_DAYS = 30
"""A signature that ends within so many days is `expiring`: time to sign again."""


class Signature(NamedTuple):
    """One person's signature. `version` empty: not told (the roster's). Half-open: it holds until `expires_on`."""

    user: str
    version: str
    signed_on: date
    expires_on: date | None


@dataclass(frozen=True, slots=True)
class PledgeRules:
    """What the organisation asks for. `version` None: any. `valid_days` None: signatures without an end stay."""

    version: str | None = None
    valid_days: int | None = None

    def end_of(self, signature: Signature) -> date | None:
        """The first day on which a signature no longer holds."""
        if signature.expires_on is not None or self.valid_days is None:
            return signature.expires_on
        return signature.signed_on + timedelta(days=self.valid_days)

    def asks_for(self, signature: Signature) -> bool:
        """Whether the signature is of the version that counts."""
        return self.version is None or signature.version == self.version


class PledgeState(NamedTuple):
    """A person on a day; the signature is the one that decides, None where there is none."""

    user: str
    state: State
    signature: Signature | None
    ends_on: date | None

    @property
    def may_use(self) -> bool:
        """Whether the person's pledge holds."""
        return self.state in ("signed", "expiring")


def state_of(user: str, signatures: Iterable[Signature], rules: PledgeRules, day: date) -> PledgeState:
    """What a person's signatures say on a day; those of later days are not there yet."""
    there = sorted((one for one in signatures if one.signed_on <= day), key=lambda one: (one.signed_on, one.version))
    wanted = [one for one in there if rules.asks_for(one)]
    holding = [one for one in wanted if (end := rules.end_of(one)) is None or day < end]
    if holding:
        best = max(holding, key=lambda one: (rules.end_of(one) or date.max, one.signed_on))
        end = rules.end_of(best)
        is_ending = end is not None and end - day <= timedelta(days=REMIND_DAYS)
        return PledgeState(user, "expiring" if is_ending else "signed", best, end)
    if wanted:
        last = max(wanted, key=lambda one: rules.end_of(one) or date.max)
        return PledgeState(user, "expired", last, rules.end_of(last))
    if there:
        return PledgeState(user, "outdated", there[-1], rules.end_of(there[-1]))
    return PledgeState(user, "unsigned", None, None)


def counting(rows: Iterable[Signature]) -> list[Signature]:
    """Of rows of one person, version and day the last one; `rows` in the order of ids."""
    return list({(row.user, row.version, row.signed_on): row for row in rows}.values())


def new_rows(held: Iterable[Signature], rows: Iterable[Signature]) -> tuple[list[Signature], int]:
    """(rows that a file adds, rows that say what is known)."""
    known = set(counting(held))
    added = [row for row in rows if row not in known]
    return added, len(list(rows)) - len(added)


def read_signatures(raw: bytes, name: str, today: date) -> list[Signature]:
    """The rows of a pledges file. Raises FileRefused naming everything that is wrong; nobody has signed tomorrow."""
    read = read_file(raw, name, COLUMNS, lambda cells: _row(cells, today))
    first: dict[tuple[str, str, date], int] = {}
    problems = []
    for line, row in read:
        earlier = first.setdefault((row.user, row.version, row.signed_on), line)
        if earlier != line:
            remedy = Sentence("line %(earlier)s is that signature already: keep one", earlier=earlier)
            problems.append(CellProblem(name, line, "user", row.user, remedy))
    if problems:
        raise FileRefused(problems)
    return [row for _, row in read]


def _row(cells: Mapping[str, str], today: date) -> Signature:
    for column in ("user", "version"):
        if not cells[column]:
            raise CellError(column, "", Sentence("name the %(column)s", column=column))
    signed_on = day_cell("signed_on", cells["signed_on"])
    if signed_on > today:
        raise CellError(
            "signed_on", cells["signed_on"], Sentence("today is %(today)s: nobody has signed later", today=today)
        )
    expires_on = day_cell("expires_on", cells["expires_on"]) if cells.get("expires_on") else None
    if expires_on is not None and expires_on < signed_on:
        raise CellError("expires_on", cells["expires_on"], "let it end on the day of signing (taken back) or later")
    return Signature(cells["user"], cells["version"], signed_on, expires_on)

