"""The shapes of vendors' files, written by hand from what their fields are; nothing of the importers is used."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from tests.seeded.months import PICO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tests.seeded.months import Row, SeededMonth

    Files = list[tuple[str, str]]

TOKENS = ("input_tokens", "cache_read_tokens", "output_tokens")
WORDS = {"input_tokens": "input", "cache_read_tokens": "cached input", "output_tokens": "output"}
ALWAYS = ("QUANTITY", "PRICE", "UNIT_SCALE")
GROUPS = ("UNKNOWN_MODEL", "PERIOD_EDGE", "BYPASS", "NOT_BILLED")
EXTRA = ("TAX", "CREDIT_OR_DISCOUNT", "FEE")
CENT = PICO // 100


@dataclass(frozen=True)
class Shape:
    """`grain`: what money is told by: cell (day, model, unit), day, or month (model and unit, or nothing).

    `tells_quantity`: some file of the month tells tokens. `step`: what each row's amount is rounded to, in picounits.
    `faults`: the classes that can be planted so that the files show them.
    """

    name: str
    vendor: str
    models: tuple[str, ...]
    write: Callable[[SeededMonth], Files]
    faults: tuple[str, ...]
    units: tuple[str, ...] = TOKENS
    grain: str = "cell"
    tells_quantity: bool = True
    step: int = 1
    zone: str = "UTC"
    currency: str = "USD"
    won_prices: bool = False
    accounts: tuple[str, ...] = ("",)
    """Accounts that both sides tell."""
    stranger: str = "mystery"
    """How the name of a model begins that nobody knows."""

    def billed(self, pico: int) -> int:
        """An amount as the file writes it, rounded half up."""
        return pico if self.step == 1 else (2 * pico + self.step) // (2 * self.step) * self.step


def decimal(pico: int, digits: int = 12) -> str:
    """Picounits as a plain decimal."""
    sign, pico = ("-", -pico) if pico < 0 else ("", pico)
    whole, rest = divmod(pico, PICO)
    return f"{sign}{whole}.{rest:012d}"[: len(sign) + len(str(whole)) + 1 + digits]


def seconds(day: date) -> int:
    """The unix second at which a UTC day begins."""
    return (day - date(1970, 1, 1)).days * 86_400


def table(columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> str:
    """A CSV of rows that leave out what is empty."""
    target = io.StringIO()
    writer = csv.DictWriter(target, list(columns), restval="")
    writer.writeheader()
    writer.writerows(rows)
    return target.getvalue()


def account_of(row: Row) -> str | None:
    """The account of a row's group; None where there is none."""
    return (row.at.account or None) if row.at is not None else None


def by_day(month: SeededMonth) -> dict[date, list[Row]]:
    """The rows of each day of the month, none for most."""
    found: dict[date, list[Row]] = {day: [] for day in month.days}
    for row in month.rows:
        found[row.day].append(row)
    return found


def tokens_of(rows: Iterable[Row]) -> dict[str, dict[str, int]]:
    """Model to unit to tokens."""
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        if row.at is not None:
            units = found.setdefault(row.at.model, {})
            units[row.at.unit] = units.get(row.at.unit, 0) + row.tokens
    return found


EXTRA_WORDS = {"tax": "VAT", "credit": "promotional credit", "fee": "service fee"}


def openai_costs(month: SeededMonth, *, quantity: bool = True) -> Files:
    """Pages of the costs API, grouped by line item."""
    pages = []
    for day, rows in by_day(month).items():
        results = []
        for row in rows:
            item = EXTRA_WORDS.get(row.kind) or f"{row.at.model}, {WORDS[row.at.unit]}"  # type: ignore[union-attr]
            told = f'"quantity":{row.tokens}.0,"quantity_unit":"tokens",' if quantity and row.kind == "usage" else ""
            results.append(
                f'{{"object":"organization.costs.result","amount":{{"value":{decimal(row.pico)},"currency":"usd"}},'
                f'"line_item":"{item}",{told}"project_id":{json.dumps(account_of(row))}}}'
            )
        pages.append(
            f'{{"object":"bucket","start_time":{seconds(day)},"end_time":{seconds(day) + 86_400},'
            f'"results":[{",".join(results)}]}}'
        )
    return [("costs.json", f'{{"object":"page","data":[{",".join(pages)}],"has_more":false,"next_page":null}}')]


def openai_costs_bare(month: SeededMonth) -> Files:
    """The same without quantities."""
    return openai_costs(month, quantity=False)


def openai_totals(month: SeededMonth) -> Files:
    """The dashboard's cost CSV of day totals."""
    rows = []
    for day, found in by_day(month).items():
        one = {"start_time": seconds(day), "end_time": seconds(day) + 86_400, "organization_id": "org-1"}
        use = [row for row in found if row.kind == "usage"]
        total = decimal(sum(row.pico for row in use))
        rows += [{**one, "amount_value": total, "amount_currency": "usd"}] if use else []
        rows += [
            {**one, "amount_value": decimal(row.pico), "amount_currency": "usd", "line_item": EXTRA_WORDS[row.kind]}
            for row in found if row.kind != "usage"
        ]  # fmt: skip
        rows += [] if found else [one]
    columns = ("start_time", "end_time", "amount_value", "amount_currency", "line_item", "project_id",
               "organization_id")  # fmt: skip
    return [("cost.csv", table(columns, rows))]


def openai_totals_and_usage(month: SeededMonth) -> Files:
    """Day totals and the dashboard's usage CSV."""
    rows = []
    for day, found in by_day(month).items():
        one: dict[str, Any] = {"start_time": seconds(day), "end_time": seconds(day) + 86_400}
        for model, units in tokens_of(found).items():
            fresh, cached = units.get("input_tokens", 0), units.get("cache_read_tokens", 0)
            rows.append({**one, "num_model_requests": "3.0", "model": model, "batch": "FALSE",
                         "service_tier": "default", "input_tokens": f"{fresh + cached}.0",
                         "output_tokens": f"{units.get('output_tokens', 0)}.0", "input_cached_tokens": f"{cached}.0",
                         "input_uncached_tokens": f"{fresh}.0"})  # fmt: skip
        rows += [] if tokens_of(found) else [one]
    columns = ("start_time", "end_time", "num_model_requests", "model", "batch", "service_tier", "input_tokens",
               "output_tokens", "input_cached_tokens", "input_uncached_tokens")  # fmt: skip
    return [*openai_totals(month), ("usage.csv", table(columns, rows))]


ANTHROPIC_TYPES = {"input_tokens": "uncached_input_tokens", "cache_read_tokens": "cache_read_input_tokens",
                   "output_tokens": "output_tokens"}  # fmt: skip


def anthropic_costs(month: SeededMonth) -> Files:
    """The cost report: texts of cents."""
    buckets = []
    for day, rows in by_day(month).items():
        results = []
        for row in rows:
            one: dict[str, Any] = {
                "amount": decimal(row.pico * 100), "currency": "USD", "cost_type": "tokens", "model": None,
                "token_type": None, "context_window": None, "service_tier": None, "workspace_id": None,
            }  # fmt: skip
            if row.at is not None:
                one |= {"description": f"{row.at.model} use", "model": row.at.model, "context_window": "0-200k",
                        "token_type": ANTHROPIC_TYPES[row.at.unit], "service_tier": "standard"}  # fmt: skip
            elif row.kind == "fee":
                one |= {"cost_type": "code_execution", "description": EXTRA_WORDS["fee"]}
            else:
                one |= {"description": "credit", "model": month.shape.models[0], "token_type": "output_tokens"}
            results.append(one)
        buckets.append({"starting_at": f"{day}T00:00:00Z", "ending_at": f"{day + timedelta(1)}T00:00:00Z",
                        "results": results})  # fmt: skip
    return [("cost_report.json", json.dumps({"data": buckets, "has_more": False, "next_page": None}))]


def anthropic_costs_and_usage(month: SeededMonth) -> Files:
    """The cost report with the usage report beside it."""
    buckets = []
    for day, rows in by_day(month).items():
        results = [
            {"uncached_input_tokens": units.get("input_tokens", 0),
             "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
             "cache_read_input_tokens": units.get("cache_read_tokens", 0),
             "output_tokens": units.get("output_tokens", 0), "server_tool_use": {"web_search_requests": 0},
             "model": model, "service_tier": "standard", "workspace_id": None, "api_key_id": None}
            for model, units in tokens_of(rows).items()
        ]  # fmt: skip
        buckets.append({"starting_at": f"{day}T00:00:00Z", "ending_at": f"{day + timedelta(1)}T00:00:00Z",
                        "results": results})  # fmt: skip
    report = json.dumps({"data": buckets, "has_more": False, "next_page": None})
    return [*anthropic_costs(month), ("usage_report.json", report)]


DISPLAY = {"claude-haiku-4-5": "Claude Haiku 4.5", "claude-opus-5": "Claude Opus 5"}
CONSOLE_TYPES = {"input_tokens": "input_no_cache", "cache_read_tokens": "input_cache_read", "output_tokens": "output"}


def anthropic_console(month: SeededMonth) -> Files:
    """The console's cost CSV: display names, dollars rounded to cents row by row."""
    rows = []
    for row in month.rows:
        one: dict[str, Any] = {"usage_date_utc": row.day, "workspace": "Default", "api_key": "gateway",
                               "usage_type": "message", "cost_usd": decimal(row.pico, 2)}  # fmt: skip
        if row.at is not None:
            one |= {"model": DISPLAY.get(row.at.model, row.at.model), "context_window": "≤ 200k",
                    "token_type": CONSOLE_TYPES[row.at.unit], "cost_type": "token"}  # fmt: skip
        elif row.kind == "fee":
            one |= {"cost_type": "code_execution"}
        else:
            one |= {"model": DISPLAY[month.shape.models[0]], "token_type": "output", "cost_type": "token"}
        rows.append(one)
    columns = ("usage_date_utc", "model", "workspace", "api_key", "usage_type", "context_window", "token_type",
               "cost_usd", "cost_type")  # fmt: skip
    return [("cost.csv", table(columns, rows))]


def anthropic_console_and_tokens(month: SeededMonth) -> Files:
    """The console's cost CSV with its token CSV."""
    rows = [
        {"usage_date_utc": day, "model_version": model, "api_key": "gateway", "workspace": "Default",
         "usage_type": "standard", "context_window": "≤ 200k",
         "usage_input_tokens_no_cache": units.get("input_tokens", 0), "usage_input_tokens_cache_write_5m": 0,
         "usage_input_tokens_cache_write_1h": 0, "usage_input_tokens_cache_read": units.get("cache_read_tokens", 0),
         "usage_output_tokens": units.get("output_tokens", 0), "web_search_count": 0, "inference_geo": "global"}
        for day, found in by_day(month).items() for model, units in tokens_of(found).items()
    ]  # fmt: skip
    columns = ("usage_date_utc", "model_version", "api_key", "workspace", "usage_type", "context_window",
               "usage_input_tokens_no_cache", "usage_input_tokens_cache_write_5m", "usage_input_tokens_cache_write_1h",
               "usage_input_tokens_cache_read", "usage_output_tokens", "web_search_count", "inference_geo",
               "speed")  # fmt: skip
    return [*anthropic_console(month), ("token.csv", table(columns, rows))]
