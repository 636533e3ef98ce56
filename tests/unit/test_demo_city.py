"""The demo's month: seeded, shaped like a city hall's, and read by the adapters exactly as it was made."""

from __future__ import annotations

import gzip
import io
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import zstandard

from jangbu.demo import gateway
from jangbu.demo.answers import SOURCES, line_of
from jangbu.demo.city import Call, month_calls
from jangbu.demo.departments import DEPARTMENTS
from jangbu.demo.hours import HOLIDAYS, SEOUL, is_day_off
from jangbu.demo.models import MODELS, UNPRICED
from jangbu.demo.people import City, Plan, make_city
from jangbu.demo.reference_files import write_reference_files
from producers.adapters import ADAPTERS, Options
from producers.contract import EventRefused, TimeBounds, UsageEvent, check_time, read_event, time_us_of

PLAN = Plan("2026-10", 600, 12_000, 7)
NOW_US = 1_790_000_000_000_000


@pytest.fixture(scope="module")
def city() -> City:
    return make_city(PLAN)


@pytest.fixture(scope="module")
def calls(city: City) -> list[Call]:
    return list(month_calls(PLAN, city))


def lines_of(path: Path) -> list[bytes]:
    raw = path.read_bytes()
    if path.suffix == ".zst":
        raw = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(raw)).read()
    elif path.suffix == ".gz":
        raw = gzip.decompress(raw)
    return raw.splitlines()


def read(call: Call) -> UsageEvent:
    """The call's line as the product's adapter reads it."""
    (event,) = ADAPTERS[call.wire].adapt(line_of(call), Options(SOURCES[call.wire]))
    return event


def test_the_house_has_its_size(city: City) -> None:
    assert len(MODELS) == 29
    assert len(DEPARTMENTS) == len({one.code for one in DEPARTMENTS}) == len({one.name for one in DEPARTMENTS}) == 120
    assert len(city.staff) == PLAN.users
    assert all(2 <= len(caller.models) <= 3 for caller in city.staff)


def test_a_seed_is_a_city(calls: list[Call]) -> None:
    assert list(month_calls(PLAN, make_city(PLAN))) == calls
    other = replace(PLAN, seed=8)
    assert list(month_calls(other, make_city(other))) != calls


def test_about_so_many_requests_and_all_models(calls: list[Call]) -> None:
    assert abs(len(calls) - PLAN.events) < PLAN.events * 0.03
    assert {call.model.name for call in calls} == {model.name for model in MODELS}
    assert {call.wire for call in calls} == {"usage", "litellm", "response"}
    assert {call.status for call in calls} == {"success", "failure", "cut", "cached"}
    assert len({call.id for call in calls}) == len(calls)


def test_the_month_reaches_from_the_korean_begin_to_the_end_in_utc(calls: list[Call]) -> None:
    """Otherwise the vendor's month, in UTC, would miss what was used in its last nine hours."""
    times = [datetime.fromtimestamp(call.time_ms / 1000, UTC) for call in calls]
    assert min(times) >= datetime(2026, 9, 30, 15, tzinfo=UTC)
    assert max(times) < datetime(2026, 11, 1, 1, tzinfo=UTC)
    assert any(time >= datetime(2026, 10, 31, 15, tzinfo=UTC) for time in times)


def test_people_work_by_day_and_eat_at_noon(calls: list[Call]) -> None:
    moments = [datetime.fromtimestamp(call.time_ms / 1000, SEOUL) for call in calls]
    hours = Counter(moment.hour for moment in moments if not is_day_off(moment.date()))
    assert hours[12] < hours[11] / 2
    assert hours[12] < hours[13]
    assert hours[3] < hours[10] / 20
    days = Counter(moment.date() for moment in moments if moment.month == 10)
    quiet = [count for day, count in days.items() if is_day_off(day)]
    busy = [count for day, count in days.items() if not is_day_off(day)]
    assert max(quiet) < min(busy) / 5


def test_holidays_of_the_default_month() -> None:
    """National Foundation Day falls on a Saturday, so that Monday the 5th is free; Hangul Day is the 9th."""
    free = sorted(day.day for day in HOLIDAYS if (day.year, day.month) == (2026, 10))
    assert free == [5, 9]
    assert not [day for day in HOLIDAYS if day.weekday() >= 5], "weekends are free anyway"


@pytest.mark.parametrize("wire", ["usage", "litellm", "response"])
def test_adapters_read_what_was_used(calls: list[Call], wire: str) -> None:
    chosen = [call for call in calls if call.wire == wire and call.via_gateway]
    assert len(chosen) > 300
    for call in chosen:
        event = read(call)
        told = {unit: count for unit, count in event.data.units.items() if count}
        assert told == {unit: count for unit, count in call.units.items() if count}, call
        assert (event.id, event.subject, event.time) == (
            call.id, call.user, datetime.fromtimestamp(call.time_ms / 1000, UTC)), call  # fmt: skip
        data = event.data
        assert (data.provider, data.model, data.account, data.key, data.department) == (
            call.model.provider, call.model.name, call.account, call.key, call.department)  # fmt: skip
        assert (data.status, data.usage_source, data.service_tier, data.attempt) == (
            call.status, call.usage_source, call.service_tier, call.attempt)  # fmt: skip


def test_every_wire_format_is_read(calls: list[Call]) -> None:
    wires = {call.model.wire for call in calls if call.wire == "response"}
    assert wires == {"openai.chat", "anthropic.messages", "google.generate_content", "cohere.chat"}


def test_a_failed_attempt_has_a_second_of_its_own(calls: list[Call]) -> None:
    by_id = {call.id: call for call in calls}
    failed = [call for call in calls if call.status == "failure"]
    assert failed
    for call in failed:
        again = by_id[f"{call.id[:-1]}2"]
        assert (again.attempt, again.status) == (2, "success")
        assert again.time_ms > call.time_ms


def test_some_are_unknown_and_some_move(city: City, calls: list[Call]) -> None:
    assert any(caller.move for caller in city.staff)
    strangers = {caller.user for caller in city.strangers}
    assert any(call.user in strangers for call in calls)
    assert all(call.department is None for call in calls if call.user in strangers)
    named = [call.department is not None for call in calls if call.user is not None]
    assert 0.2 < sum(named) / len(named) < 0.6


def test_a_moved_persons_events_name_the_department_of_their_time(city: City, calls: list[Call]) -> None:
    moved = {caller.user: caller for caller in city.staff if caller.move}
    seen = [call for call in calls if call.user in moved and call.department is not None]
    assert seen
    for call in seen:
        caller = moved[call.user]
        moment = datetime.fromtimestamp(call.time_ms / 1000, SEOUL)
        assert caller.move is not None
        expected = caller.move.department if moment >= caller.move.since else caller.department
        assert call.department == expected


@pytest.fixture(scope="module")
def handed(calls: list[Call], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, gateway.Delivered]:
    directory = tmp_path_factory.mktemp("in")
    return directory, gateway.hand_over((call for call in calls if call.via_gateway), directory, PLAN.seed)


def test_the_count_is_right(handed: tuple[Path, gateway.Delivered]) -> None:
    directory, delivered = handed
    lines = [line for one in gateway.HANDOVERS for line in lines_of(directory / one.name)]
    assert len(lines) == delivered.lines
    extra = delivered.copies + delivered.contradictions + delivered.restamped + delivered.malformed
    assert delivered.lines == delivered.calls + extra
    assert delivered.copies > 10
    assert (delivered.contradictions, delivered.malformed) == (gateway.CONTRADICTIONS, 12)
    assert len(set(lines)) == len(lines) - delivered.copies


def test_late_ones_come_last(handed: tuple[Path, gateway.Delivered]) -> None:
    directory, delivered = handed
    late = lines_of(directory / gateway.HANDOVERS[-1].name)
    assert len(late) >= delivered.late > 50


def test_equal_calls_give_equal_bytes(
    handed: tuple[Path, gateway.Delivered], calls: list[Call], tmp_path: Path
) -> None:
    gateway.hand_over((call for call in calls if call.via_gateway), tmp_path, PLAN.seed)
    for one in gateway.HANDOVERS:
        assert (tmp_path / one.name).read_bytes() == (handed[0] / one.name).read_bytes()


@pytest.mark.parametrize("line", gateway.malformed_lines(), ids=range(12))
def test_malformed_lines_are_refused(line: bytes) -> None:
    with pytest.raises(EventRefused):
        accept(line)


def accept(line: bytes) -> None:
    """What `jangbu ingest` does with a usage line; raises EventRefused."""
    for event in ADAPTERS["usage"].adapt(line, Options()):
        check_time(time_us_of(event), NOW_US, TimeBounds())


def test_foreign_records_are_no_events() -> None:
    records = gateway.foreign_records(NOW_US // 1000)
    assert len(records) == 4
    for key, value in records:
        assert key.startswith(b"foreign/")
        with pytest.raises(EventRefused):
            check_time(time_us_of(read_event(value)), NOW_US, TimeBounds())


def test_reference_files_are_what_the_importers_take(city: City, tmp_path: Path) -> None:
    from billing.fx import FxTable, read_fx
    from billing.invoices.vendors import read_vendors
    from billing.price_file import read_prices
    from billing.roster import read_roster

    write_reference_files(tmp_path, city, PLAN.month, PLAN.seed)
    roster = read_roster((tmp_path / "roster.csv").read_bytes(), "roster.csv", "Asia/Seoul")
    moves = sum(caller.move is not None for caller in city.staff)
    assert len(roster) == len(city.staff) + len(city.apps) + moves
    prices = read_prices((tmp_path / "prices.csv").read_bytes(), "prices.csv")
    assert UNPRICED not in {row.key.model for row in prices}
    assert all("invented" in row.source for row in prices)
    (vendor,) = read_vendors((tmp_path / "vendors.csv").read_bytes(), "vendors.csv")
    assert (vendor.vendor, vendor.zone) == ("openai", "UTC")
    rates = read_fx((tmp_path / "fx.csv").read_bytes(), "fx.csv")
    days = {row.date for row in rates}
    assert not [day for day in days if is_day_off(day)], "holidays have no rate"
    assert FxTable(rates).on(datetime(2026, 10, 1, tzinfo=UTC).date(), "USD", "KRW") is not None
