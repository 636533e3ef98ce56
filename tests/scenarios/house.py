"""A small organisation in a real database: usage as a worker leaves it, prices and rates as people import them.

Given rows in route, payer and usage_part, when billing is asked, then the figures are compared with ones worked out by
hand in the test. Everything runs under the roles' own logins.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, text

from billing.fx import read_fx
from billing.periods import hour_number, month_in
from billing.policy import MoneyPolicy
from billing.price_file import PriceChanges, read_prices
from billing.statement_document import month_document, statement_document
from billing.statements import MonthStatements, compute_month
from billing.store import add_fx, add_prices, read_book, snapshot
from billing.sums import WIDE_UNITS
from billing.usage import DEFAULT_BY, month_usage
from jangbu.database import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jangbu.services.postgres import DatabaseUrls

PRICE_HEADER = "provider,model,unit,service_tier,region,prompt_above,currency,price,per,valid_from,valid_to,source\n"
FX_HEADER = "date,base,quote,rate,source\n"


class House:
    """The organisation. Times are ISO texts with their offset; months are `YYYY-MM` in the policy's zone."""

    def __init__(self, urls: DatabaseUrls, policy: MoneyPolicy | None = None) -> None:
        self.policy = policy or MoneyPolicy()
        self._owner, self._billing, self._reader = (connect(url) for url in (urls.owner, urls.billing, urls.reader))

    def close(self) -> None:
        for engine in (self._owner, self._billing, self._reader):
            engine.dispose()

    @contextmanager
    def as_role(self, role: str) -> Iterator[Connection]:
        """A transaction under the login of a role: owner, billing or reader."""
        engine: Engine = {"owner": self._owner, "billing": self._billing, "reader": self._reader}[role]
        with engine.begin() as connection:
            yield connection

    def use(
        self,
        when: str,
        department: str | None,
        model: str,
        units: dict[str, int],
        *,
        provider: str = "openai",
        tier: str = "standard",
        region: str | None = None,
        band: int = 0,
        status: str = "success",
        user: str | None = None,
        source: str = "gateway-1",
    ) -> None:
        """Add a part, as a worker appends it."""
        route = {
            "source": source,
            "provider": provider,
            "model": model,
            "service_tier": tier,
            "region": region,
            "status": status,
            "usage_source": "provider",
        }
        payer = {"department": department, "attributed_by": "nobody" if department is None else "event", "user": user}
        wide = {unit: quantity for unit, quantity in units.items() if unit in WIDE_UNITS}
        other = {unit: quantity for unit, quantity in units.items() if unit not in WIDE_UNITS}
        with self._owner.begin() as connection:
            part: dict[str, Any] = {
                "hour": hour_number(datetime.fromisoformat(when)),
                "band": band,
                "partition": 0,
                "log_id": 1,
                "events": 1,
                "route_id": _get_or_add(connection, "route", route),
                "payer_id": _get_or_add(connection, "payer", payer),
                **wide,
            }
            columns = ", ".join(part)
            values = ", ".join(f":{name}" for name in part)
            statement = f"insert into usage_part ({columns}, other_units) values ({values}, cast(:other as jsonb))"
            shown = "{" + ", ".join(f'"{unit}": {quantity}' for unit, quantity in other.items()) + "}"
            connection.execute(text(statement), {**part, "other": shown if other else None})

    def prices(self, *lines: str, origin: str = "contract") -> PriceChanges:
        """Import price lines (without the header) under the billing login."""
        raw = (PRICE_HEADER + "\n".join(lines)).encode()
        with self._billing.begin() as connection:
            return add_prices(
                connection,
                read_prices(raw, "prices.csv"),
                origin,
                name="prices.csv",  # type: ignore[arg-type]
                sha256=hashlib.sha256(raw).hexdigest(),
                actor="os:test",
            )

    def fx(self, *lines: str) -> None:
        """Import rate lines (without the header) under the billing login."""
        raw = (FX_HEADER + "\n".join(lines)).encode()
        with self._billing.begin() as connection:
            add_fx(
                connection,
                read_fx(raw, "fx.csv"),
                name="fx.csv",
                sha256=hashlib.sha256(raw).hexdigest(),
                actor="os:test",
            )

    def month(self, month: str) -> MonthStatements:
        with snapshot(self._reader) as connection:
            return compute_month(connection, month, self.policy)

    def statement(self, month: str, department: str | None) -> dict[str, Any]:
        """The document of one department; the department must have used something."""
        computed = self.month(month)
        found = computed.of(department)
        assert found is not None
        return statement_document(found, computed)

    def totals(self, month: str) -> dict[str | None, str]:
        """Booked totals by department, the organisation's under '*'."""
        document = month_document(self.month(month))
        return {**{one["department"]: one["total"] for one in document["statements"]}, "*": document["total"]}

    def usage(self, month: str, *by: str) -> list[dict[str, Any]]:
        """The rows of `jangbu usage --json`."""
        dimensions = by or DEFAULT_BY
        with snapshot(self._reader) as connection:
            rows = month_usage(connection, month_in(month, self.policy.zone), read_book(connection), dimensions)
        return [row.document(dimensions) for row in rows]


def _get_or_add(connection: Connection, table: str, values: dict[str, Any]) -> int:
    """The id of a row of route or payer, added where it is new."""
    names = [f'"{name}"' for name in values]
    same = " and ".join(f"{quoted} is not distinct from :{name}" for quoted, name in zip(names, values, strict=True))
    found = connection.execute(text(f"select id from {table} where {same}"), values).scalar()
    if found is None:
        columns, places = ", ".join(names), ", ".join(f":{name}" for name in values)
        found = connection.execute(
            text(f"insert into {table} ({columns}) values ({places}) returning id"), values
        ).scalar()
    return int(found)  # type: ignore[arg-type]
