"""The month end: closing a month, rating, a what-if over a year, a statement's page; beside DuckDB on the same rows.

The ledger is filled first (`month_filling`), which is not timed. Then each of the product's doings is a process of its
own (`month_roles`), and DuckDB another one (`month_duck`). Every figure of theirs must agree exactly: quantities and
amounts of each line of each department, and the what-if by department, model and month. Otherwise the part fails.
Two parts: `monthend`, and `year`, which needs twelve times the sums.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from statistics import median
from typing import TYPE_CHECKING, Any

from jangbu.demo.departments import DEPARTMENTS
from jangbu.demo.models import MODELS
from tests.bench.month_filling import MONTH, YEAR, add_months, fill_month, import_prices_and_rates, month_names, roll_up
from tests.bench.report import Figure, Findings, thousand
from tests.bench.stage import connect
from tests.bench.truth import WrongSums

if TYPE_CHECKING:
    from tests.bench.month_filling import Filled
    from tests.bench.stage import Stage

CLOSE_S, CLOSE_BYTES = 60.0, 1_000_000_000
RATING_PER_S = 200_000
YEAR_S, PAGE_S = 5.0, 0.1
PAGE_DEPARTMENTS = 10
SWAP = f"{MODELS[0].name}={MODELS[1].name}"
"""What the what-if supposes: the tokens of the first model at the prices of the second."""
Document = Mapping[str, Any]


def measure(stage: Stage, events: int, say: Callable[[str], None]) -> Findings:
    """Fill a month with so many events; close it, rate it, show it. Raises WrongSums where DuckDB differs."""
    departments = [one.code for one in sorted(DEPARTMENTS, key=lambda one: -one.weight)][:PAGE_DEPARTMENTS]
    names = month_names(2)
    with stage.database() as urls:
        import_prices_and_rates(urls)
        filled = fill_month(urls, stage.house, events, say)
        rolled_s = roll_up(urls.worker)
        say(f"monthend: {MONTH} holds {filled.events:,} events in {filled.parts:,} sums, rolled up in {rolled_s:.1f} s")
        close = _told(stage, "close", database_url=urls.billing, month=MONTH)
        say(f"monthend: closed in {close['seconds']:.1f} s with {close['peak_bytes'] / 1e6:.0f} MB: {_spent(close)}")
        rating = _told(stage, "rating", database_url=urls.reader, month=MONTH)
        add_months(urls.owner, names[1:])
        roll_up(urls.worker)
        page = _told(stage, "page", database_url=urls.reader, billing_url=urls.billing, closed=MONTH, open=names[1],
                     departments=departments)
        say(f"monthend: a page in {median(page['closed_s']) * 1000:.0f} ms; the same in DuckDB")
        duck = _told(stage, "duck", database_url=urls.owner, month=MONTH, departments=departments)
    check_figures(f"{MONTH} by department, model and unit", close["figures"], duck["figures"])
    check_total(close, rating)
    if rating["sums"] != duck["sums"]:
        raise WrongSums(f"rating had {rating['sums']} sums, DuckDB makes {duck['sums']} of the same rows")
    return Findings(compare(close, rating, page, duck), notes(filled, rolled_s, close, rating))


def measure_year(stage: Stage, events: int, say: Callable[[str], None]) -> Findings:
    """Fill twelve months with so many events each, and suppose one model for another. Raises WrongSums."""
    names = month_names(YEAR)
    with stage.database() as urls:
        import_prices_and_rates(urls)
        filled = fill_month(urls, stage.house, events, say)
        say(f"year: {MONTH} holds {filled.events:,} events in {filled.parts:,} sums; making the other months' sums")
        add_months(urls.owner, names[1:])
        parts, rolled_s = _parts(urls.owner), roll_up(urls.worker)
        whatif = _told(stage, "whatif", database_url=urls.reader, months=names, swap=SWAP)
        say(f"year: what-if in {median(whatif['seconds']):.1f} s over {parts:,} sums; the same in DuckDB")
        duck = _told(stage, "duck", database_url=urls.owner, month=MONTH, months=names, swap=SWAP)
    check_figures("a year by now and then", whatif["figures"], duck["figures"])
    note = (
        f"Year: {parts:,} hourly sums of {filled.events * YEAR:,} events; the what-if took "
        f"{whatif['peak_bytes'] / 1e6:.0f} MB. Rolling them up by day, all at once, took {rolled_s:.0f} s before it."
    )
    return Findings(
        [
            _bound("what-if over a year / 5 s", whatif["seconds"], YEAR_S),
            _beside("what-if over a year / DuckDB's sums and products", whatif["seconds"], duck["year_s"]),
        ],
        [note],
    )


def compare(close: Document, rating: Document, page: Document, duck: Document) -> list[Figure]:
    """All figures: by their bounds, and by DuckDB."""
    sums, quantities = rating["sums"], rating["quantities"]
    amounts, found = median(rating["amounts_s"]), median(rating["found_s"])
    return [
        _bound("closing the month / 60 s", [close["seconds"]], CLOSE_S),
        Figure("closing: peak memory / 1 GB", close["peak_bytes"] / CLOSE_BYTES, ("at most", 1),
               f"{close['peak_bytes'] / 1e6:.0f} MB"),
        _beside("closing / DuckDB's sums and products", [close["seconds"]], duck["close_s"]),
        Figure("rating to amounts: sums/s / 200,000", sums / amounts / RATING_PER_S, ("at least", 1),
               f"{thousand(sums / amounts)} ({thousand(quantities / amounts)} quantities)"),
        Figure("rating, price rows alone: sums/s / 200,000", sums / found / RATING_PER_S, None,
               f"{thousand(sums / found)} ({thousand(quantities / found)} quantities)"),
        _beside("rating to amounts / DuckDB's products", rating["amounts_s"], duck["rating_s"]),
        _bound("a page of the closed month / 100 ms", page["closed_s"], PAGE_S),
        _beside("a page of the closed month / DuckDB's", page["closed_s"], duck["page_s"]),
        _bound("a page of an open month, kept / 100 ms", page["open_s"], PAGE_S),
        Figure("a page of an open month, computed / 100 ms", median(page["computed_s"]) / PAGE_S, None,
               f"{median(page['computed_s']):.2f} s"),
        Figure("the same, and kept for the next / 100 ms", median(page["first_s"]) / PAGE_S, None,
               f"{median(page['first_s']):.2f} s"),
        _beside("a page of an open month, kept / DuckDB's", page["open_s"], duck["page_s"]),
        _beside("a page of an open month, computed / DuckDB's", page["computed_s"], duck["page_s"]),
    ]  # fmt: skip


def notes(filled: Filled, rolled_s: float, close: Document, rating: Document) -> list[str]:
    """What was measured, and where the close spends its time."""
    rated = (
        f"Rated were {rating['sums']:,} sums of a day, which took {rating['read_s']:.1f} s to read; rating them to "
        f"amounts took {median(rating['amounts_cpu_s']):.1f} s of processor time."
    )
    held = f"{filled.events:,} events in {filled.parts:,} hourly sums"
    return [
        f"Month end: {held}; {close['entries']} entries; {_spent(close)}.",
        f"Workers roll sums up by day when they have nothing to read; all at once, before the close: {rolled_s:.1f} s.",
        f"The closing process took {close['cpu_s']:.1f} s of processor time; PostgreSQL's is not in it.",
        rated,
    ]


def _spent(close: Document) -> str:
    """The close's steps with their times."""
    at = close["points"]
    steps = (("taking out copies", 0.0, at["copies_out"]), ("computing the month", at["copies_out"], at["computed"]),
             ("the laws", at["computed"], at["laws"]), ("the rest of the checks", at["laws"], at["before_booking"]),
             ("booking", at["before_booking"], at["before_commit"]),
             ("the commit", at["before_commit"], at["after_commit"]))  # fmt: skip
    return ", ".join(f"{name} {end - begin:.1f} s" for name, begin, end in steps)


def check_figures(what: str, ours: Mapping[str, Sequence[str]], theirs: Mapping[str, Sequence[str]]) -> None:
    """Raise WrongSums at the first figure that is not exactly the same; what one side leaves out must be 0."""
    if not ours or not theirs:
        raise WrongSums(f"{what}: no figures to compare")
    for key in sorted(ours.keys() | theirs.keys()):
        mine, other = ([Fraction(value) for value in side.get(key, ("0", "0"))] for side in (ours, theirs))
        if mine != other:
            raise WrongSums(f"{what}: {key} is {ours.get(key)}, DuckDB has {theirs.get(key)}")


def check_total(close: Document, rating: Document) -> None:
    """The close, rating alone, and the lines must come to one exact total."""
    lines = sum((Fraction(amount) for _, amount in close["figures"].values()), Fraction(0))
    if not Fraction(close["total_exact"]) == Fraction(rating["total_exact"]) == lines:
        raise WrongSums(f"the close comes to {close['total_exact']}, rating to {rating['total_exact']}, lines {lines}")


def _bound(what: str, seconds: Sequence[float], bound_s: float) -> Figure:
    middle = median(seconds)
    spread = (min(seconds) / bound_s, max(seconds) / bound_s) if len(seconds) > 1 else None
    beside = f"{middle:.1f} s" if middle >= 1 else f"{middle * 1000:.0f} ms"
    return Figure(what, middle / bound_s, ("at most", 1), beside, spread)


def _beside(what: str, ours: Sequence[float], theirs: Sequence[float]) -> Figure:
    return Figure(what, median(ours) / median(theirs), None, f"{median(ours):.3f} s / {median(theirs):.3f} s")


def _told(stage: Stage, role: str, **settings: Any) -> dict[str, Any]:
    """What a process of its own found out."""
    with stage.child(role, **settings) as child:
        return child.result()


def _parts(owner_url: str) -> int:
    with connect(owner_url) as connection:
        row = connection.execute("select count(*) from usage_part").fetchone()
    return 0 if row is None else int(row[0])
