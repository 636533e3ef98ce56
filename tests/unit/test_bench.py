"""The benchmarks' own rules: what is sent is what is counted, how a speed and a verdict are told. No services."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import pytest

from jangbu.demo.departments import DEPARTMENTS
from producers.contract import TimeBounds, check_time, decode_event, record_key, time_us_of
from tests.bench import (
    freshness,
    growth,
    http_door,
    invoices,
    memory,
    month_duck,
    month_filling,
    monthend,
    run,
    scale,
    speed,
)
from tests.bench.child import ROLES
from tests.bench.house import HOUR_MS, House
from tests.bench.report import Figure, of_rounds, table
from tests.bench.stage import Disturbed
from tests.bench.truth import UNITS, Truth, WrongSums, check_same

CHECKOUT = Path(__file__).resolve().parents[2]
BEGIN = datetime(2026, 10, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def house() -> House:
    return House(people=200)


def test_every_event_is_good_and_counted(house: House) -> None:
    day, belongs = house.day(3, 4_000), dict(house.roster())
    by_hour: dict[tuple[int, str], Counter[str]] = {}
    by_model: dict[tuple[str, str], Counter[str]] = {}
    keys = set()
    for key, value, timestamp_ms in house.events(day):
        event = decode_event(value)
        time_us = time_us_of(event)
        check_time(time_us, timestamp_ms * 1000, TimeBounds())
        assert key == record_key(event.source, event.id)
        assert event.subject is not None
        keys.add(key)
        department = belongs[event.subject]
        assert event.data.department in (None, department)
        told = Counter({"events": 1, **event.data.units})
        by_hour.setdefault((time_us // 1000 // HOUR_MS, department), Counter()).update(told)
        by_model.setdefault((department, event.data.model), Counter()).update(told)
    truth = house.truth(day)
    assert len(keys) == len(day) == truth.events == 4_000
    assert {key: tuple(sums[unit] for unit in UNITS) for key, sums in by_hour.items()} == truth.by_hour
    assert {key: tuple(sums[unit] for unit in UNITS) for key, sums in by_model.items()} == truth.by_model


def test_a_day_is_a_working_day_and_people_have_favourites(house: House) -> None:
    day = house.day(0, 20_000)
    times = day.time_ms.tolist()
    assert times == sorted(times)
    by_hour = Counter((time_ms - day.begin_ms) // HOUR_MS for time_ms in times)
    assert by_hour[10] > 3 * by_hour[12] > 3 * by_hour[3]
    models: dict[str, set[str]] = {}
    for _, value, _ in house.events(day):
        event = decode_event(value)
        assert event.subject is not None
        models.setdefault(event.subject, set()).add(event.data.model)
    assert {len(favourites) for favourites in models.values()} == {2, 3}
    assert set(Counter(len(favourites) for favourites in models.values())) == {2, 3}
    assert {department for _, department in house.roster()} <= {department.code for department in DEPARTMENTS}


def test_days_differ_and_a_seed_repeats(house: House) -> None:
    one, same, next_one = house.day(1, 500), house.day(1, 500), house.day(2, 500)
    assert list(house.events(one)) == list(house.events(same))
    assert not {event.key for event in house.events(one)} & {event.key for event in house.events(next_one)}
    assert next_one.begin_ms - one.begin_ms == 24 * HOUR_MS


def test_a_difference_in_sums_is_found() -> None:
    sent = {("D001", "gpt-5.4"): (2, 10, 0, 5, 0, 2)}
    check_same("sums", dict(sent), sent)
    for found in ({("D001", "gpt-5.4"): (2, 11, 0, 5, 0, 2)}, {}, {**sent, ("D002", "gpt-5.4"): (0, 0, 0, 0, 0, 0)}):
        with pytest.raises(WrongSums, match=r"D00[12]"):
            check_same("sums", found, sent)


def test_truths_add_up(house: House) -> None:
    whole, days = Truth(), [house.day(number, 300) for number in range(3)]
    for day in days:
        whole.add(house.truth(day))
    assert whole.events == 900
    assert whole.totals == tuple(map(sum, zip(*(house.truth(day).totals for day in days), strict=True)))
    assert house.truth(days[0], 100).events == 100


def chunks(*rows: tuple[str, float, int]) -> list[speed.ChunkRow]:
    return [speed.ChunkRow(worker, BEGIN + timedelta(seconds=at_s), records) for worker, at_s, records in rows]


def test_speed_leaves_out_the_first_chunk_and_the_one_that_begins_last() -> None:
    stored = chunks(("one", 0, 999), ("one", 10, 100), ("one", 11, 300), ("one", 12, 999))
    assert speed.events_per_s(stored) == 200.0


def test_speed_of_two_counts_while_both_work() -> None:
    stored = chunks(
        ("one", 0, 9), ("one", 1, 70), ("two", 1.5, 9), ("two", 2, 50), ("one", 3, 50), ("one", 4, 9), ("two", 5, 9)
    )
    assert speed.events_per_s(stored) == 50.0


def test_too_few_chunks_tell_no_speed() -> None:
    with pytest.raises(Disturbed, match="too few"):
        speed.events_per_s(chunks(("one", 0, 20_000)))


@pytest.mark.parametrize(
    ("figure", "verdict"),
    [
        (Figure("a", 8.0, ("at least", 8), ""), True),
        (Figure("a", 7.99, ("at least", 8), ""), False),
        (Figure("a", 1.0, ("at most", 1), ""), True),
        (Figure("a", 1.01, ("at most", 1), ""), False),
        (Figure("a", 1.0, None, ""), None),
    ],
)
def test_verdict(figure: Figure, verdict: bool | None) -> None:
    assert figure.is_met is verdict
    assert ("NOT MET" in table([figure])) is (verdict is False)


def test_ratios_are_taken_within_a_round() -> None:
    figure = of_rounds("a", [10, 2, 30], [5, 1, 10], None, "")
    assert (figure.ratio, figure.spread) == (2, (2, 3))


def test_growth_compares_the_days_after_the_first_with_the_last() -> None:
    paces = [growth.Pace(100, seconds, seconds / 2) for seconds in (9.0, 1.0, 1.0, 5.0, 3.0, 2.0, 2.0, 2.0)]
    whole, store = growth.compare(paces)
    assert (whole.ratio, store.ratio, whole.is_met) == (0.5, 0.5, False)


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.001, 1)])
def test_percentile(share: float, value: int) -> None:
    assert freshness.percentile(list(range(100, 0, -1)), share) == value


def test_freshness_looks_for_the_keys_that_are_stored() -> None:
    from streams.attribution import Roster
    from streams.chunk import Chunk, Record
    from streams.decode import Decoder, Facts

    batch, keys = freshness._batch(7, [tail.decode() for tail in House(people=20).tails_of(10, 1)])
    records = [Record(place, row.accepted_ms, row.key, row.value) for place, row in enumerate(batch)]
    decoded = Decoder(TimeBounds()).decode(Chunk(0, 0, 10, records, 1), Facts(1, Roster(), ()))
    assert decoded.rejected == []
    assert {entry.key.hex() for entry in decoded.entries} >= set(keys)
    assert len(set(keys)) == freshness.SAMPLED_A_BATCH


def test_another_backlog_scales_every_part() -> None:
    other = scale.FULL.of_events(200_000)
    assert (other.events, other.plain_events, other.growth_events, other.memory_events, other.month_events) == (
        200_000, 30_000, 4_000_000, 1_000_000, 2_000_000,
    )  # fmt: skip


def test_the_same_figures_agree_whatever_their_form() -> None:
    monthend.check_figures("a month", {"a": ["12", "0.50"], "b": ["0", "0"]}, {"a": ["12", "1/2"]})


@pytest.mark.parametrize(
    "theirs",
    [{"a": ["12", "0.51"]}, {"a": ["13", "0.5"]}, {"a": ["12", "0.5"], "b": ["1", "0"]}, {"b": ["1", "0"]}, {}],
)
def test_another_figure_than_duckdb_s_fails(theirs: dict[str, list[str]]) -> None:
    with pytest.raises(WrongSums, match="a month"):
        monthend.check_figures("a month", {"a": ["12", "0.5"]}, theirs)


def test_close_rating_and_lines_come_to_one_total() -> None:
    close = {"figures": {"a": ["1", "0.25"], "b": ["1", "0.5"]}, "total_exact": "3/4"}
    monthend.check_total(close, {"total_exact": "0.75"})
    for wrong in ({**close, "total_exact": "0.76"}, {**close, "figures": {"a": ["1", "0.25"]}}):
        with pytest.raises(WrongSums, match="comes to"):
            monthend.check_total(wrong, {"total_exact": "0.75"})


def month_figures(close_s: float, peak_bytes: int, page_s: float) -> dict[str, Figure]:
    close = {"seconds": close_s, "peak_bytes": peak_bytes}
    rating = {"sums": 400_000, "quantities": 800_000, "amounts_s": [2.0], "found_s": [1.0]}
    page = {"closed_s": [page_s] * 3, "open_s": [page_s] * 3, "computed_s": [3.0], "first_s": [4.0]}
    figures = monthend.compare(close, rating, page, {"close_s": [3.0], "rating_s": [0.5], "page_s": [0.02]})
    return {figure.what: figure for figure in figures}


def test_month_end_is_judged_by_its_bounds() -> None:
    good, bad = month_figures(60.0, 1_000_000_000, 0.1), month_figures(60.1, 1_000_000_001, 0.11)
    judged = ("closing the month / 60 s", "closing: peak memory / 1 GB", "a page of the closed month / 100 ms",
              "a page of an open month, kept / 100 ms")
    assert [good[what].is_met for what in judged] == [True] * 4
    assert [bad[what].is_met for what in judged] == [False] * 4
    assert good["rating to amounts: sums/s / 200,000"].ratio == 1.0
    assert good["closing / DuckDB's sums and products"].ratio == 20.0


def test_the_steps_of_a_close_add_up_to_it() -> None:
    names = ("copies_out", "computed", "laws", "before_booking", "before_commit", "after_commit")
    close = {"points": {name: 2.0**place for place, name in enumerate(names)}, "entries": 1, "cpu_s": 1.0}
    rating = {"sums": 3, "read_s": 1.0, "amounts_cpu_s": [0.5]}
    told = monthend.notes(month_filling.Filled(10, 9), 1.0, close, rating)[0]
    steps = [float(step) for step in re.findall(r"([0-9.]+) s\b", told)]
    assert (len(steps), sum(steps)) == (len(names), 32.0)


def test_the_year_begins_with_the_month_of_the_events() -> None:
    names = month_filling.month_names(12)
    assert (names[0], names[2], names[3], names[-1]) == ("2026-10", "2026-12", "2027-01", "2027-09")


def test_duckdb_multiplies_exactly() -> None:
    import duckdb

    connection = duckdb.connect()
    question = "'p' as provider, 'm' as model, 'standard' as tier, '' as region, 0::bigint as band"
    none = ", ".join(f"null::bigint as {unit}" for unit in month_duck.UNITS if unit != "input_tokens")
    connection.execute(f"""create table parts as select 7 as hour, {question}, false as cached, 'D001' as department,
                           unnest([999999999999, 1])::bigint as input_tokens, {none}""")
    connection.execute("create table hours as select 7 as hour, 0 as stretch, '2026-10' as month")
    rate = f"1391.4::{month_duck.RATE} as rate"
    connection.execute(f"create table rates as select 'USD' as currency, 0 as stretch, {rate}")
    connection.execute(f"""create table prices as select {question}, 'input_tokens' as unit, 0 as stretch,
                           0.012345::{month_duck.PRICE} as price, 1000000::bigint as per, 'USD' as currency""")
    sums = month_duck.STRETCHES.format(parts="parts", where="")
    query = month_duck.PRODUCTS.format(by=month_duck.LINE, sums="s", prices="prices")
    rows = connection.execute(f"with s as materialized ({sums}) {query}").fetchall()
    assert [(*row[:4], row[5]) for row in rows] == [("D001", "p", "m", "input_tokens", 10**12)]
    assert month_duck._exact(rows[0][6], rows[0][4]) == Fraction("1391.4") * Fraction("0.012345") * 10**6


def test_a_quantile_is_an_answer_that_was_given() -> None:
    load = http_door.Load(100, 2.0, [number / 1000 for number in range(100, 0, -1)])
    assert (load.quantile(0.5), load.quantile(0.99), load.quantile(1)) == (0.051, 0.1, 0.1)
    assert load.events_per_s == 100 * http_door.BATCH_EVENTS / 2


def test_options_refuse_what_they_do_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    assert run._parts("year,speed,monthend") == ("monthend", "year", "speed")
    for wrong in (["--only", "speed,tea"], ["--events", "10"], ["--events", "many"]):
        with pytest.raises(SystemExit) as stopped:
            run.main(wrong)
        assert stopped.value.code == 2
    assert "there is no part 'tea'" in capsys.readouterr().err


def test_the_page_names_every_part_role_and_number() -> None:
    page = (CHECKOUT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    for part in run.PARTS + run.APART:
        assert f"`{part}`" in page
    modules: list[Callable[..., object]] = [speed.measure, growth.measure, memory.measure, freshness.measure,
                                             monthend.measure, http_door.measure, invoices.measure]  # fmt: skip
    for measure in modules:
        assert f"`tests/bench/{measure.__module__.rpartition('.')[2]}.py`" in page
    assert set(re.findall(r"`child\.py ([a-z]+)`", page)) == set(ROLES)
    for number in (scale.FULL.events, scale.FULL.growth_events, scale.FULL.memory_events, scale.FULL.plain_events,
                   scale.QUICK.events, freshness.RATE_PER_S, scale.FULL.month_events,
                   scale.QUICK.month_events):  # fmt: skip
        assert f"{number:,}" in page
