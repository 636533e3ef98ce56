"""The price book and the rates in PostgreSQL: reading them, and adding to them in one transaction.

Nothing here decides anything: what a file changes is worked out in `price_file` and `fx`.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from psycopg import sql
from sqlalchemy import Connection, Engine, text

from billing.errors import BillingError
from billing.fx import FxRow, FxTable, new_rates
from billing.models import ModelRule, ModelRules
from billing.periods import hour_number, hour_start
from billing.price_file import PriceChanges, changes
from billing.prices import STORED_IDS_MAX, Origin, PriceBook, PriceKey, PriceRow
from billing.terms.store import read_term_book

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

BOOK_LOCK = 0x6A620001
"""Advisory lock of imports: ids are given one after the other, without gaps."""


@contextmanager
def snapshot(engine: Engine, at: str | None = None) -> Iterator[Connection]:
    """A connection whose reads all see one state of the database, and that writes nothing. `at`: the state that another
    snapshot sees, by the name under which it was exported and as long as that one is open; DBAPIError afterwards."""
    options: dict[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with engine.connect().execution_options(**options) as connection, connection.begin():
        if at is not None:
            connection.exec_driver_sql(f"set transaction snapshot {sql.quote(at)}")  # it takes no parameter
        yield connection


def read_price_rows(connection: Connection, providers: Iterable[str] | None = None) -> list[PriceRow]:
    """All rows, also superseded ones, or those of some providers, by id."""
    statement = """select id, origin, provider, model, unit, service_tier, region, prompt_above, currency, price, per,
                          valid_from, valid_to, source from price"""
    names = None if providers is None else sorted({name.lower() for name in providers})
    if names is not None:
        statement += " where lower(provider) = any(:names)"
    rows = connection.execute(text(statement + " order by id"), {} if names is None else {"names": names})
    return [
        PriceRow(
            row.id,
            row.origin,
            PriceKey(*row[2:8]),
            row.currency,
            row.price,
            row.per,
            hour_number(row.valid_from),
            None if row.valid_to is None else hour_number(row.valid_to),
            row.source,
        )
        for row in rows
    ]


def read_rules(connection: Connection) -> ModelRules:
    """The rules that count: for each provider those of the newest import that brought any."""
    rows = connection.execute(
        text("""
        select provider, place, match, to_provider, to_model from price_rule r
        where import_id = (select max(import_id) from price_rule n where n.provider = r.provider)""")
    )
    return ModelRules(ModelRule(*row) for row in rows)


def read_book(connection: Connection, *, everything: bool = False) -> PriceBook:
    """The price book with the contract's terms, of the providers that usage names and those whose rows may price them,
    or of all."""
    rules, contract = read_rules(connection), read_term_book(connection)
    if everything:
        return PriceBook(read_price_rows(connection), rules, contract)
    used = connection.execute(text("select distinct provider from route")).scalars()
    providers = {name for provider in used for name in rules.providers_of(provider)}
    return PriceBook(read_price_rows(connection, providers), rules, contract)


def read_fx_rows(connection: Connection) -> list[FxRow]:
    """All rates by id, also those that a later id replaced."""
    rows = connection.execute(text("select id, date, base, quote, rate, source from fx_rate order by id"))
    return [FxRow(*row) for row in rows]


def read_fx(connection: Connection) -> FxTable:
    """The rates, ready to be asked."""
    return FxTable(read_fx_rows(connection))


def add_prices(
    connection: Connection,
    rows: Sequence[PriceRow],
    origin: Origin,
    *,
    name: str,
    sha256: str,
    actor: str,
    rules: Sequence[ModelRule] = (),
) -> PriceChanges:
    """Add what is new in `rows` to the book, in the caller's transaction; the billing login. Returns what changed.

    Thresholds that are new to the book move the sums of longer prompts before the transaction, and with it the rows,
    becomes visible; workers wait from there to the commit.
    """
    _lock(connection)
    found = changes(read_price_rows(connection), rows, origin)
    known_rules = _stored_rules(connection) if rules else set()
    new_rules = [rule for rule in rules if _rule_text(rule) not in known_rules]
    if not found.new_rows and not new_rules:
        return found
    import_id = _note_import(connection, "price", origin, name, sha256, len(found.new_rows), actor)
    first_id = _next_id(connection, "price")
    if first_id + len(found.new_rows) > STORED_IDS_MAX:
        raise BillingError(f"{name} would make more than {STORED_IDS_MAX} price rows: bring fewer")
    if found.new_rows:
        connection.execute(
            text("""
            insert into price (id, import_id, origin, provider, model, unit, service_tier, region, prompt_above,
                               currency, price, per, valid_from, valid_to, source)
            values (:id, :import_id, :origin, :provider, :model, :unit, :service_tier, :region, :prompt_above,
                    :currency, :price, :per, :valid_from, :valid_to, :source)"""),
            [_price_values(row, first_id + place, import_id) for place, row in enumerate(found.new_rows)],
        )
    if new_rules:
        _insert_rules(connection, rules, {rule.provider for rule in new_rules}, import_id)
    known = set(connection.execute(text("select tokens_above from prompt_threshold")).scalars())
    for threshold in found.thresholds:
        if threshold not in known:
            connection.execute(text("select add_prompt_threshold(:threshold)"), {"threshold": threshold})
    return found


def add_fx(
    connection: Connection, rows: Sequence[FxRow], *, name: str, sha256: str, actor: str
) -> tuple[list[FxRow], list[FxRow]]:
    """Add new rates in the caller's transaction; the billing login. Returns (added, changed)."""
    _lock(connection)
    added, changed = new_rates(read_fx_rows(connection), rows)
    fresh = [*added, *changed]
    if fresh:
        import_id = _note_import(connection, "fx", "rate", name, sha256, len(fresh), actor)
        first_id = _next_id(connection, "fx_rate")
        connection.execute(
            text("""insert into fx_rate (id, import_id, date, base, quote, rate, source)
                    values (:id, :import_id, :date, :base, :quote, :rate, :source)"""),
            [
                {
                    "id": first_id + place,
                    "import_id": import_id,
                    "date": row.date,
                    "base": row.base,
                    "quote": row.quote,
                    "rate": row.rate,
                    "source": row.source,
                }
                for place, row in enumerate(fresh)
            ],
        )
    return added, changed


def sha256_of(raw: bytes) -> str:
    """The digest under which a file is noted."""
    return hashlib.sha256(raw).hexdigest()


def _lock(connection: Connection) -> None:
    connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": BOOK_LOCK})


def _next_id(connection: Connection, table: str) -> int:
    return int(connection.execute(text(f"select coalesce(max(id), 0) + 1 from {table}")).scalar_one())


def _note_import(
    connection: Connection, book: str, origin: str, name: str, sha256: str, rows_added: int, actor: str
) -> int:
    import_id = _next_id(connection, "book_import")
    connection.execute(
        text("""insert into book_import (id, book, origin, name, sha256, rows_added, actor)
                values (:id, :book, :origin, :name, :sha256, :rows_added, :actor)"""),
        {
            "id": import_id,
            "book": book,
            "origin": origin,
            "name": name,
            "sha256": sha256,
            "rows_added": rows_added,
            "actor": actor,
        },
    )
    return import_id


def _price_values(row: PriceRow, row_id: int, import_id: int) -> dict[str, Any]:
    return {
        **row.key._asdict(), "id": row_id, "import_id": import_id, "origin": row.origin, "currency": row.currency,
        "price": row.price, "per": row.per, "valid_from": hour_start(row.from_hour),
        "valid_to": None if row.to_hour is None else hour_start(row.to_hour), "source": row.source,
    }  # fmt: skip


def _stored_rules(connection: Connection) -> set[str]:
    rows = connection.execute(
        text("""
        select provider, place, match, to_provider, to_model from price_rule r
        where import_id = (select max(import_id) from price_rule n where n.provider = r.provider)""")
    )
    return {_rule_text(ModelRule(*row)) for row in rows}


def _insert_rules(connection: Connection, rules: Sequence[ModelRule], providers: set[str], import_id: int) -> None:
    """A provider with a new rule gets all of its rules again, under this import."""
    connection.execute(
        text("""insert into price_rule (import_id, provider, place, match, to_provider, to_model)
                values (:import_id, :provider, :place, cast(:match as jsonb), :to_provider, :to_model)"""),
        [
            {
                "import_id": import_id,
                "provider": rule.provider,
                "place": rule.place,
                "to_provider": rule.to_provider,
                "to_model": rule.to_model,
                "match": None if rule.match is None else json.dumps(rule.match),
            }
            for rule in rules
            if rule.provider in providers
        ],
    )


def _rule_text(rule: ModelRule) -> str:
    return json.dumps([rule.provider, rule.place, rule.match, rule.to_provider, rule.to_model], sort_keys=True)
