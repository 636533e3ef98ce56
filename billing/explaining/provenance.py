"""Where a price row or a rate came from: the import that brought it, with its file's digest, who, and when."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text

from billing.money import plain

if TYPE_CHECKING:
    from collections.abc import Iterable

_IMPORT = "i.id as import_id, i.name, i.sha256, i.actor, i.database_login, i.imported_at"


def row_id_of(code: str) -> int:
    """The id of the stored row that a statement calls P-000118."""
    return int(code.removeprefix("P-"))


def read_price_origins(connection: Connection, row_ids: Iterable[int]) -> dict[int, dict[str, Any]]:
    """The stored price rows of some ids, each with its import, as documents."""
    rows = connection.execute(
        text(f"""
        select p.id, p.origin, p.provider, p.model, p.unit, p.service_tier, p.region, p.prompt_above, p.currency,
               p.price, p.per, p.valid_from, p.valid_to, p.source, {_IMPORT}
        from price p join book_import i on i.id = p.import_id where p.id = any(:ids)"""),
        {"ids": sorted(set(row_ids))},
    ).mappings()
    return {
        row["id"]: {
            "price_id": f"P-{row['id']:06d}",
            **{name: row[name] for name in ("origin", "provider", "model", "unit", "service_tier", "region")},
            "prompt_above": str(row["prompt_above"]),
            "currency": row["currency"],
            "price": plain(row["price"]),
            "per": str(row["per"]),
            "valid_from": row["valid_from"],
            "valid_to": row["valid_to"],
            "source": row["source"],
            "import": _import(row),
        }
        for row in rows
    }


def read_rate_origin(
    connection: Connection, date: str, base: str, quote: str, rate: str, source: str
) -> dict[str, Any] | None:
    """The import of the rate row that says just this; None where no stored row does (a mean of rates is in none)."""
    row = (
        connection.execute(
            text(f"""
            select f.id, {_IMPORT} from fx_rate f join book_import i on i.id = f.import_id
            where f.date = cast(:date as date) and f.base = :base and f.quote = :quote and f.rate = :rate
              and f.source = :source
            order by f.id desc limit 1"""),
            {"date": date, "base": base, "quote": quote, "rate": Decimal(rate), "source": source},
        )
        .mappings()
        .one_or_none()
    )
    return None if row is None else {"fx_id": row["id"], **_import(row)}


def _import(row: Any) -> dict[str, Any]:
    when: datetime = row["imported_at"]
    return {
        "import_id": row["import_id"],
        "name": row["name"],
        "sha256": row["sha256"],
        "actor": row["actor"],
        "database_login": row["database_login"],
        "imported_at": when,
    }
