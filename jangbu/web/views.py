"""Views and actions: each is registered once and gives a page at its path and JSON at /api/v1, with the same rights.

A view reads a document (what `--json` would print) from one snapshot; the page shows it, the API returns it, its table
can be had as CSV or XLSX (`?format=`). An action is a form's POST; the API takes the same fields as JSON or a form.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import text

from billing.kept_property import kept_property
from billing.periods import month_in
from billing.sentences import Sentence
from billing.store import read_book, read_fx
from billing.unchanged import read_seen
from jangbu.errors import UsageError
from jangbu.web.rights import Rule, scope_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from billing.fx import FxTable
    from billing.prices import PriceBook
    from billing.unchanged import Seen
    from jangbu.web.books import Books
    from jangbu.web.people import Person
    from jangbu.web.wording import Wording

Document = dict[str, Any]
ROWS_A_VALUE: Final = 150
_CHANGES: Final = text("""select (select count(*) from input_change) as inputs,
                                 (select coalesce(max(id), 0) from register_import) as registers""")
_USAGE: Final = text(
    "select string_agg(concat_ws(' ', log_id, partition, next_offset), ',' order by log_id, partition) as offsets "
    "from stream_offset"
)
Value = TypeVar("Value")


@dataclass(frozen=True)
class Parameter:
    """A parameter of a view's query. `values`: the only ones there are."""

    name: str
    about: str
    values: tuple[str, ...] = ()
    example: str | None = None
    many: bool = False


@dataclass(frozen=True)
class Field:
    """A field of an action's form."""

    name: str
    about: str
    kind: Literal["text", "file", "flag", "many"] = "text"
    required: bool = True
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """What a view's page shows as its table. `figures` are the columns that hold numbers."""

    name: str
    columns: Sequence[str]
    rows: Iterable[Sequence[Any]]
    figures: Sequence[str] = ()


@dataclass(frozen=True)
class File:
    """A file to download."""

    name: str
    content: bytes
    media_type: str = "application/octet-stream"


@dataclass
class Ask:
    """One request to a view or an action.

    Attributes:
        open_snapshot: opens the snapshot of a view; None for an action, which opens `books.change()` itself.
        path: the path's parameters.
        scope: the departments that the person may read; None: all. Who has none may read none.
        now: aware, UTC.
        is_beside: nobody waits for it: a kept value is computed anew.
        as_of: of when the oldest report is that was taken, where newer use may be missing from it.
    """

    person: Person | None
    books: Books
    path: Mapping[str, str]
    query: Mapping[str, list[str]]
    wording: Wording
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    open_snapshot: Callable[[], Connection] | None = None
    is_beside: bool = False
    as_of: datetime | None = None

    @kept_property
    def connection(self) -> Connection:
        """The view's snapshot, the reader's: one state of the database for all that a page shows."""
        assert self.open_snapshot is not None, "an action opens books.change() or books.snapshot()"
        return self.open_snapshot()

    @property
    def scope(self) -> frozenset[str] | None:
        """Departments that may be read; None: all."""
        return scope_of(self.person)

    @property
    def identity(self) -> str:
        """Who does it, for the audit trail."""
        assert self.person is not None
        return self.person.identity

    def one(self, name: str, default: str | None = None) -> str | None:
        """A parameter of the query; an empty one counts as not given."""
        found = [value for value in self.query.get(name, []) if value]
        return found[-1][:512] if found else default

    def many(self, name: str) -> list[str]:
        """All values of a parameter, also those between commas."""
        return [word for value in self.query.get(name, []) for word in value.split(",") if word][:200]

    @kept_property
    def _mark(self) -> tuple[object, ...]:
        """What changes when something that reports are computed from was changed."""
        return (*self.connection.execute(_CHANGES).one(), self.books.memory.changes)

    @kept_property
    def _usage(self) -> tuple[object, ...]:
        """What changes when use came, or an hour has passed."""
        told = self.connection.execute(_USAGE).one()
        return (*told, self.now.replace(minute=0, second=0, microsecond=0))

    def kept(self, name: str, compute: Callable[[Ask], Value], *key: Hashable, again: bool = False) -> Value:
        """A value that may be a minute old, or older while it is computed anew (jangbu.web.memory); `as_of` then says
        of when. `key` is all that it depends on beside the books. `compute` takes the request whose snapshot it reads:
        this one, or a later one. `again`: compute now."""
        key = (name, self.books.policy.zone, *key)

        def refresh() -> Value:
            with self.books.snapshot() as connection:
                later = replace(self, now=datetime.now(UTC), open_snapshot=lambda: connection, is_beside=True)
                return compute(later)

        if again:
            self.books.memory.drop(key)
        found, as_of = self.books.memory.get(
            key, self._mark, lambda: compute(self), usage=self._usage, refresh=None if self.is_beside else refresh
        )
        if as_of is not None:
            self.is_of(as_of)
        return found

    def is_of(self, as_of: datetime) -> None:
        """Something that is shown is of an earlier instant: newer use may be missing from it."""
        self.as_of = as_of if self.as_of is None else min(self.as_of, as_of)

    def of_inputs(self, name: str, compute: Callable[[], Value], *key: Hashable) -> Value:
        """A value that inputs of statements decide alone: kept until one changes, never stale."""
        key = (name, self.books.policy.zone, *key)
        return self.books.memory.get(key, self._mark, compute, usage=())[0]

    @kept_property
    def _seen(self) -> Seen | None:
        """What this request's snapshot sees."""
        return read_seen(self.connection)

    def unchanged(
        self, name: str, end_hour: int, compute: Callable[[], Value], *key: Hashable,
        rows_of: Callable[[Value], int] = lambda _value: ROWS_A_VALUE, may_be_earlier: bool = False,
    ) -> Value:  # fmt: skip
        """A value computed from inputs of statements and from usage before `end_hour` (UTC), kept as long as neither
        changed: never stale. `key` is all else that it depends on. It is shared: nothing in it may be changed.
        `rows_of`: how many rows it holds, where they may be many. `may_be_earlier`: use of the last minute may be
        missing from one that takes long; `as_of` then says so."""
        key = (name, self.books.policy.zone, *key)
        lately = self.is_of if may_be_earlier else None
        return self.books.unchanged.get(self.connection, self._seen, end_hour, key, compute, rows_of, lately)

    @property
    def book(self) -> PriceBook:
        """The whole price book as it stands: its tables are inputs, so that a change is seen at once."""
        return self.of_inputs("price book", lambda: read_book(self.connection, everything=True))

    @property
    def rates(self) -> FxTable:
        """The rates of exchange as they stand, inputs too."""
        return self.of_inputs("rates of exchange", lambda: read_fx(self.connection))

    def month(self, name: str = "month") -> str:
        """The month asked for, in the path or the query, else the present one. Raises UsageError."""
        asked = self.path.get(name) or self.one(name)
        zone = self.books.settings.timezone
        if asked is None:
            return f"{self.now.astimezone(ZoneInfo(zone)):%Y-%m}"
        try:
            month_in(asked, zone)
        except ValueError as error:
            raise UsageError(str(error)) from error
        return asked

    def text(self, message: str, **values: Any) -> str:
        """A sentence of the catalogue in the reader's language. As in templates, a percent sign is written twice."""
        return self.wording.gettext(message) % values


class Form:
    """What was sent with an action: fields, several values of one field, files."""

    def __init__(self, fields: Mapping[str, list[str]], files: Mapping[str, list[tuple[str, bytes]]]) -> None:
        self._fields = fields
        self._files = files

    def text(self, name: str) -> str:
        """A field that must be there. Raises UsageError naming it."""
        found = self.optional(name)
        if found is None:
            raise UsageError(Sentence("the field %(field)s is empty: fill it in and send again", field=repr(name)))
        return found

    def optional(self, name: str) -> str | None:
        """A field, or None where it is empty."""
        values = self._fields.get(name, [])
        text = values[-1].strip() if values else ""
        return text or None

    def many(self, name: str) -> list[str]:
        """All values of a field."""
        return [value for value in self._fields.get(name, []) if value]

    def flag(self, name: str) -> bool:
        """Whether a box is ticked."""
        return (self.optional(name) or "").lower() in ("1", "on", "true", "yes")

    def as_file(self, columns: Sequence[str]) -> bytes:
        """The fields as a register's file of one row, so that a form is read, refused and kept as a file is. A field's
        lines are parts, which files separate by semicolons."""
        told = io.StringIO()
        writer = csv.writer(told, lineterminator="\n")
        writer.writerow(columns)
        writer.writerow([";".join((self.optional(name) or "").splitlines()) for name in columns])
        return told.getvalue().encode()

    def files(self, name: str) -> list[tuple[str, bytes]]:
        """Files by name and content."""
        return [(file, content) for file, content in self._files.get(name, []) if file or content]

    def file(self, name: str) -> tuple[str, bytes]:
        """One file. Raises UsageError where none was chosen."""
        found = self.files(name)
        if not found:
            raise UsageError(Sentence("no file was chosen for %(field)s: choose one and send again", field=repr(name)))
        return found[0]


@dataclass(frozen=True)
class Done:
    """What an action did: where its page goes on, the sentence told there, and the API's answer.

    `template`: show a page at once instead of going on (a preview); its values are the document.
    """

    going: str
    sentence: str = ""
    document: Document = field(default_factory=dict)
    template: str | None = None


@dataclass(frozen=True, kw_only=True)
class View:
    """A page and a resource of the API. `title` and `about` are English; the title is a message of the catalogue.

    `path` may hold `{name}`; `api` is the path below /api/v1 where it is another.
    """

    path: str
    title: str
    rule: Rule
    read: Callable[[Ask], Document]
    template: str
    about: str = ""
    parameters: tuple[Parameter, ...] = ()
    table: Callable[[Ask, Document], Table] | None = None
    api: str | None = None


@dataclass(frozen=True, kw_only=True)
class Download:
    """A file made from one snapshot; the same at both paths."""

    path: str
    title: str
    rule: Rule
    make: Callable[[Ask], File]
    about: str = ""
    parameters: tuple[Parameter, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Action:
    """A change. `do` opens its own transaction, notes who did it, and says what was done."""

    path: str
    title: str
    rule: Rule
    do: Callable[[Ask, Form], Done]
    about: str = ""
    fields: tuple[Field, ...] = ()


Registered = View | Download | Action
