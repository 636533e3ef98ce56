"""The processes of the month end that are measured: close, rating, what-if, a statement's page. Times in seconds.

Each writes what it measured and the figures that it came to, so that they can be compared with DuckDB's to the last
digit. Amounts are text.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from billing.open_months import Keeper
    from billing.policy import MoneyPolicy

ACCEPTED = ("unpriced",)
"""One of the demo's models has no price."""
RATING_ROUNDS = 3
PAGES = 20
OPEN_PAGES = 2
WHATIF_ROUNDS = 2
Figures = dict[str, list[str]]


def run_close(settings: dict[str, Any]) -> int:
    """Close the month by the product's own function, the laws asked as the command asks them."""
    from datetime import UTC, datetime

    from billing.ledger.close import close_month
    from billing.policy import MoneyPolicy
    from jangbu.database import connect
    from jangbu.period_checks import laws

    engine = connect(settings["database_url"])
    began_s = time.perf_counter()
    points: dict[str, float] = {}

    def outside(connection: Any, computed: Any) -> list[Any]:
        points["computed"] = time.perf_counter() - began_s
        check = laws(connection, computed)
        points["laws"] = time.perf_counter() - began_s
        return [check]

    draft = close_month(
        engine, settings["month"], MoneyPolicy(), now=datetime.now(UTC), actor="os:bench", accept=ACCEPTED,
        outside=outside, observe=lambda point: points.__setitem__(point, time.perf_counter() - began_s),
    )  # fmt: skip
    took_s = time.perf_counter() - began_s
    found = {"seconds": took_s, "points": points, "peak_bytes": peak_bytes(), "entries": len(draft.entries),
             "cpu_s": time.process_time()}  # fmt: skip
    figures: dict[str, list[Any]] = {}
    for document in draft.documents:
        for line in document["lines"]:
            key = json.dumps([document["department"], line["provider"], line["model"], line["unit"]])
            _add(figures, key, int(line["quantity"]), line["amount_exact"] or "0")  # without a price: as in DuckDB
    return _write(settings, {**found, "figures": _as_text(figures), "total_exact": draft.organisation["total_exact"]})


def run_rating(settings: dict[str, Any]) -> int:
    """Rate the month's sums, read beforehand: their price rows alone, and up to amounts in lines."""
    from billing.periods import month_in
    from billing.policy import MoneyPolicy
    from billing.rating import rate_month
    from billing.statements import make_statements, rate_and_add_up, read_conversion
    from billing.store import read_book, snapshot
    from billing.sums import read_sums
    from jangbu.database import connect

    policy = MoneyPolicy()
    month = month_in(settings["month"], policy.zone)
    found_s, amounts_s, amounts_cpu_s = [], [], []
    with snapshot(connect(settings["database_url"])) as connection:
        conversion = read_conversion(connection, month, policy)
        books = [read_book(connection) for _ in range(2 * RATING_ROUNDS)]
        cuts = sorted(books[0].cuts(month.first_hour, month.end_hour) | set(month.day_hours) | conversion.cuts())
        began_s = time.perf_counter()
        sums = list(read_sums(connection, month.first_hour, month.end_hour, cuts, conversion.dimensions))
        read_s = time.perf_counter() - began_s
    total = ""
    for _ in range(RATING_ROUNDS):
        began_s = time.perf_counter()
        quantities = sum(1 for _ in rate_month(sums, books.pop()))
        found_s.append(time.perf_counter() - began_s)
        began_s, began_cpu_s = time.perf_counter(), time.process_time()
        statements = make_statements(rate_and_add_up(sums, books.pop(), conversion), month, policy, {})
        amounts_s.append(time.perf_counter() - began_s)
        amounts_cpu_s.append(time.process_time() - began_cpu_s)
        total = str(statements.exact_total)
    return _write(settings, {"sums": len(sums), "quantities": quantities, "found_s": found_s, "amounts_s": amounts_s,
                             "amounts_cpu_s": amounts_cpu_s, "read_s": read_s, "total_exact": total})  # fmt: skip


def run_whatif(settings: dict[str, Any]) -> int:
    """`jangbu whatif --months ... --model A=B`, without the start of Python."""
    from billing.policy import MoneyPolicy
    from billing.store import snapshot
    from billing.whatif.months import Supposed, what_if
    from jangbu.database import connect

    engine, seconds = connect(settings["database_url"]), []
    for _ in range(WHATIF_ROUNDS):
        began_s = time.perf_counter()
        with snapshot(engine) as connection:
            document = what_if(connection, settings["months"], MoneyPolicy(), Supposed(swaps=(settings["swap"],)))
        seconds.append(time.perf_counter() - began_s)
    figures = {}
    kinds = (("by_department", ("department",)), ("by_model", ("provider", "model")), ("by_month", ("month",)))
    for name, keys in kinds:
        for row in document[name]:
            key = json.dumps([name, *(row[part] for part in keys)])
            figures[key] = [row["now_exact"], row["then_exact"]]
    return _write(settings, {"seconds": seconds, "figures": figures, "peak_bytes": peak_bytes()})


def run_page(settings: dict[str, Any]) -> int:
    """`jangbu statement show M D --json` without the start of Python: of the closed month; of an open one, computed and
    kept by the first, and as the others find it; and of the open one where nothing may be kept."""
    from functools import partial

    from billing.open_months import keep, not_kept
    from billing.policy import MoneyPolicy
    from jangbu.database import connect

    engine, policy, departments = connect(settings["database_url"]), MoneyPolicy(), settings["departments"]
    keeper = partial(keep, connect(settings["billing_url"]))
    closed, opened = settings["closed"], settings["open"]
    found = {
        "closed_s": [_page(engine, closed, policy, one, not_kept) for one in _in_turn(departments, PAGES)],
        "computed_s": [_page(engine, opened, policy, one, not_kept) for one in _in_turn(departments, OPEN_PAGES)],
        "first_s": [_page(engine, opened, policy, departments[0], keeper)],
        "open_s": [_page(engine, opened, policy, one, keeper) for one in _in_turn(departments, PAGES)],
    }
    return _write(settings, found)


def _page(engine: Any, month: str, policy: MoneyPolicy, department: str, keeper: Keeper) -> float:
    from billing.plans.budget_states import show_budgets
    from billing.store import snapshot
    from jangbu.commands.statements import read_beside_last

    began_s = time.perf_counter()
    with snapshot(engine) as connection:
        document = read_beside_last(connection, month, policy, department, keeper)
        show_budgets(connection, month, policy, [document])
    text = json.dumps(document, ensure_ascii=False)
    took_s = time.perf_counter() - began_s
    assert len(document["lines"]) > 1, text[:200]
    return took_s


def peak_bytes() -> int:
    """The most memory that this process ever held (VmHWM, proc_pid_status(5))."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def _in_turn(departments: list[str], count: int) -> list[str]:
    return [departments[place % len(departments)] for place in range(count)]


def _add(figures: dict[str, list[Any]], key: str, quantity: int, amount: str) -> None:
    from decimal import Decimal

    from billing.money import exact

    held = figures.setdefault(key, [0, Decimal(0)])
    with exact():
        held[0] += quantity
        held[1] += Decimal(amount)


def _as_text(figures: Mapping[str, list[Any]]) -> Figures:
    return {key: [str(quantity), format(amount, "f")] for key, (quantity, amount) in figures.items()}


def _write(settings: Mapping[str, Any], document: Mapping[str, Any]) -> int:
    Path(settings["result"]).write_text(json.dumps(document), encoding="utf-8")
    return 0
