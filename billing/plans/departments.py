"""The register of departments: what each is called, where it belongs, who leads it, when (contract.md, section 7).

Rows are dated, half-open, and never overwritten: of rows of one department that begin together the last one counts, and
a row ends at its own `valid_to` or where the department's next row begins. A merger is told by validity: the department
that goes gets its last row again with a `valid_to`, and its people move in the roster.

Departments form a tree. A parent must itself be in force for as long as the row that names it, and at no moment may a
department stand above itself. A file that would break either is refused whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from billing.csv_file import CellError, Columns, read_file
from billing.errors import CellProblem, FileRefused
from billing.periods import is_whole_hour
from billing.roster import BEGINNING, parse_moment
from billing.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

ORGANISATION = "organisation"
"""The word for all departments together; no department may have it as its code."""

_TEXTS = ("parent", "cost_centre", "head_user", "deputy_user", "notify", "programme", "budget_item")
COLUMNS = Columns(required=("department", "name"), optional=(*_TEXTS, "valid_from", "valid_to"))


class Department(NamedTuple):
    """One row; times in UTC, half-open, `valid_to` None where it goes on. Empty cells are None."""

    department: str
    name: str
    parent: str | None
    cost_centre: str | None
    head_user: str | None
    deputy_user: str | None
    notify: str | None
    programme: str | None
    budget_item: str | None
    valid_from: datetime
    valid_to: datetime | None

    @property
    def identity(self) -> tuple[str, datetime]:
        """What makes two rows the same row, told again."""
        return self.department, self.valid_from


class Term(NamedTuple):
    """A row that counts, with the moment at which it really ends; None: it goes on."""

    row: Department
    end: datetime | None

    def holds(self, moment: datetime) -> bool:
        """Whether it is in force at a moment."""
        return self.row.valid_from <= moment and (self.end is None or moment < self.end)


@dataclass(frozen=True, slots=True)
class DepartmentChanges:
    """What a file does to the register; `changed` holds (before, after)."""

    added: tuple[Department, ...]
    changed: tuple[tuple[Department, Department], ...]
    unchanged: int

    @property
    def new_rows(self) -> tuple[Department, ...]:
        """What is to be written, in the order of the file within each kind."""
        return (*self.added, *(after for _, after in self.changed))


class Line(NamedTuple):
    """A row of a file with the line it stands on."""

    number: int
    row: Department


def read_departments(raw: bytes, name: str, zone: str) -> list[Line]:
    """The rows of a departments file. A bare date is midnight in `zone`. Raises FileRefused naming everything wrong."""
    lines = [Line(*found) for found in read_file(raw, name, COLUMNS, lambda cells: _row(cells, zone))]
    first: dict[tuple[str, datetime], int] = {}
    problems = []
    for line in lines:
        earlier = first.setdefault(line.row.identity, line.number)
        if earlier != line.number:
            remedy = Sentence("line %(earlier)s says the same start: keep one", earlier=earlier)
            problems.append(CellProblem(name, line.number, "department", line.row.department, remedy))
    if problems:
        raise FileRefused(problems)
    return lines


def changes(held: Sequence[Department], lines: Iterable[Line], name: str) -> DepartmentChanges:
    """What a file adds and changes; `held` in the order of ids. Raises FileRefused where the tree would break."""
    before = {row.identity: row for row in held}
    lines = list(lines)
    added, changed, unchanged = [], [], 0
    for line in lines:
        old = before.get(line.row.identity)
        if old is None:
            added.append(line.row)
        elif old != line.row:
            changed.append((old, line.row))
        else:
            unchanged += 1
    problems = tree_problems(terms_of([*held, *(line.row for line in lines)]), lines, name)
    if problems:
        raise FileRefused(problems)
    return DepartmentChanges(tuple(added), tuple(changed), unchanged)


def terms_of(rows: Iterable[Department]) -> list[Term]:
    """The rows that count, by department and start, each with its real end. `rows` in the order of ids."""
    chains: dict[str, dict[datetime, Department]] = {}
    for row in rows:
        chains.setdefault(row.department, {})[row.valid_from] = row
    terms = []
    for code in sorted(chains):
        starts = sorted(chains[code])
        for start, following in zip(starts, [*starts[1:], None], strict=True):
            row = chains[code][start]
            ends = [end for end in (row.valid_to, following) if end is not None]
            terms.append(Term(row, min(ends, default=None)))
    return terms


def in_force(terms: Iterable[Term], moment: datetime) -> dict[str, Department]:
    """The row of each department at a moment."""
    return {term.row.department: term.row for term in terms if term.holds(moment)}


def ends_of(terms: Iterable[Term]) -> dict[str, datetime]:
    """The moment at which each department ends for good; those that go on are left out."""
    last = {term.row.department: term.end for term in terms}
    return {code: end for code, end in last.items() if end is not None}


def names_of(terms: Iterable[Term], before: datetime | None = None) -> dict[str, str]:
    """Each department's last name, or its last before a moment where it has one by then, else its first."""
    names: dict[str, str] = {}
    for term in terms:
        if before is None or term.row.valid_from < before or term.row.department not in names:
            names[term.row.department] = term.row.name
    return names


def tree_problems(terms: Sequence[Term], lines: Sequence[Line], name: str) -> list[CellProblem]:
    """Where the tree breaks, each at the line of the file that breaks it."""
    by_code: dict[str, list[Term]] = {}
    for term in terms:
        by_code.setdefault(term.row.department, []).append(term)
    at = {line.row.identity: line.number for line in lines}
    by_parent = {line.row.department: line.number for line in lines}
    problems = []
    for term in terms:
        row = term.row
        if row.parent is None:
            continue
        gap = _first_gap(by_code.get(row.parent, []), term)
        if gap is not None:
            own = at.get(row.identity)
            number = own or by_parent.get(row.parent, 1)
            since = Sentence(
                "no such department at %(moment)s, when %(department)s belongs to it: "
                "add it, or give %(department)s another parent from there on",
                moment=_shown(gap),
                department=row.department,
            )
            never = Sentence(
                "no such department: add it, or give %(department)s another parent from there on",
                department=row.department,
            )
            remedy = never if row.parent not in by_code else since
            problems.append(CellProblem(name, number, "parent", row.parent, remedy))
        elif (circle := _circle(by_code, term)) is not None:
            number = at.get(row.identity) or next((at[one.row.identity] for one in circle if one.row.identity in at), 1)
            path = " -> ".join(one.row.department for one in (*circle, term))
            remedy = Sentence("%(path)s is a circle: let one of them have no parent", path=path)
            problems.append(CellProblem(name, number, "parent", row.parent, remedy))
    return problems


def _first_gap(parents: Iterable[Term], child: Term) -> datetime | None:
    """The first moment of the child's term at which no term of the parent is in force; None where there is none."""
    moment = child.row.valid_from
    for parent in parents:
        if parent.holds(moment):
            if parent.end is None or (child.end is not None and parent.end >= child.end):
                return None
            moment = parent.end
    return moment


def _circle(by_code: Mapping[str, Sequence[Term]], start: Term) -> list[Term] | None:
    """The way from a department up to itself, at the moment at which its term begins; None where it ends at a top.

    A circle exists from the moment at which the last of its members begins, so looking at each beginning finds all.
    """
    moment, way, seen = start.row.valid_from, [start], {start.row.department}
    while (code := way[-1].row.parent) is not None:
        if code == start.row.department:
            return way
        above = next((term for term in by_code.get(code, ()) if term.holds(moment)), None)
        if above is None or code in seen:
            return None
        seen.add(code)
        way.append(above)
    return None


def _shown(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%MZ")


def _row(cells: Mapping[str, str], zone: str) -> Department:
    code = cells["department"]
    if not code or code == ORGANISATION:
        raise CellError(
            "department",
            code,
            Sentence("give the department's code; %(organisation)s means all of them", organisation=repr(ORGANISATION)),
        )
    if not cells["name"]:
        raise CellError("name", "", "name the department as statements shall show it")
    texts = {column: cells.get(column) or None for column in _TEXTS}
    if texts["parent"] == code:
        raise CellError("parent", code, "a department cannot belong to itself: name another, or leave it empty")
    valid_from = parse_moment("valid_from", cells.get("valid_from", ""), zone) or BEGINNING
    valid_to = parse_moment("valid_to", cells.get("valid_to", ""), zone)
    for column, moment in (("valid_from", valid_from), ("valid_to", valid_to)):
        if moment is not None and not is_whole_hour(moment):
            raise CellError(column, cells[column], "write a day of your zone, or a time at a whole UTC hour")
    if valid_to is not None and valid_to <= valid_from:
        raise CellError("valid_to", cells["valid_to"], "end after valid_from, or leave it empty")
    return Department(code, cells["name"], **texts, valid_from=valid_from, valid_to=valid_to)
