"""The books in PostgreSQL: append-only for every role, ids without gaps, thresholds before prices, one state a read."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import exc, text

from billing.laws import check_rounding, months_with_usage, rounding_of
from billing.policy import MoneyPolicy
from billing.seeding import seed_prices
from billing.store import read_book, read_fx, read_price_rows, read_rules
from tests.scenarios.house import House

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jangbu.services.postgres import DatabaseUrls

LIST = "openai,gpt-x,input_tokens,,,,USD,{price},1000000,{since},,list"


@pytest.fixture
def house(migrated_database: DatabaseUrls) -> Iterator[House]:
    found = House(migrated_database)
    yield found
    found.close()


def filled(house: House) -> None:
    house.prices(LIST.format(price="1", since="2026-01-01"))
    house.fx("2026-10-01,USD,KRW,1400,bank")


@pytest.mark.parametrize("role", ["billing", "owner"])
@pytest.mark.parametrize("table", ["price", "price_rule", "fx_rate", "book_import"])
@pytest.mark.parametrize("statement", ["update {} set import_id = 1", "delete from {}", "truncate {} cascade"])
def test_nothing_is_changed_or_deleted_by_any_role(house: House, role: str, table: str, statement: str) -> None:
    filled(house)
    with house.as_role("owner") as connection:
        connection.execute(text("insert into price_rule values (1, 'p', 0, '{\"equals\": \"m\"}', 'p', 'm')"))
    changed = statement.format(table).replace("import_id = 1", "id = id" if table == "book_import" else "import_id = 1")
    with pytest.raises(exc.DBAPIError, match=r"never changed|permission denied"), house.as_role(role) as connection:
        connection.execute(text(changed))


def test_the_reader_and_the_worker_write_nothing(house: House) -> None:
    with pytest.raises(exc.ProgrammingError, match="permission denied"), house.as_role("reader") as connection:
        connection.execute(text("insert into fx_rate values (1, 1, '2026-10-01', 'USD', 'KRW', 1, 'x')"))


def test_the_database_refuses_what_a_file_would_not_pass(house: House) -> None:
    filled(house)
    row = {"valid_from": "2026-01-01T00:30:00Z", "price": "1", "per": "1"}
    for change in ({}, {"price": "-1"}, {"per": "0"}):
        values = {**row, **change}
        with pytest.raises(exc.IntegrityError), house.as_role("billing") as connection:
            connection.execute(
                text("""insert into price values (9, 1, 'list', 'p', 'm', 'input_tokens', 'standard', null, 0, 'USD',
                        cast(:price as numeric), cast(:per as bigint), cast(:valid_from as timestamptz), null, 's')"""),
                values,
            )


def test_ids_have_no_gaps_and_a_file_twice_adds_nothing(house: House) -> None:
    lines = [LIST.format(price="1", since="2026-01-01"), LIST.format(price="2", since="2026-02-01")]
    house.prices(*lines)
    with pytest.raises(exc.DataError), house.as_role("billing") as connection:
        connection.execute(text("select 1 / 0"))
    assert house.prices(*lines).unchanged == 2
    house.prices(lines[0].replace(",1,", ",3,"))
    with house.as_role("reader") as connection:
        rows = read_price_rows(connection)
        assert [(row.code, row.price) for row in rows] == [
            ("P-000001", Decimal(1)),
            ("P-000002", Decimal(2)),
            ("P-000003", Decimal(3)),
        ]
        assert connection.execute(text("select array_agg(rows_added order by id) from book_import")).scalar() == [2, 1]


def test_prices_keep_every_digit(house: House) -> None:
    house.prices("p,m,input_tokens,,,,USD,123456789012345678.123456789012345678,1,2026-01-01,,s")
    house.fx("2026-10-01,JPY(100),KRW,935.123456789012345678,bank")
    with house.as_role("reader") as connection:
        assert str(read_price_rows(connection)[0].price) == "123456789012345678.123456789012345678"
        (row,) = [
            read_fx(connection).on(date, "JPY", "KRW")
            for (date,) in connection.execute(text("select date from fx_rate"))
        ]
        assert row is not None
        assert str(row.rate) == "9.35123456789012345678"


def test_a_new_threshold_moves_longer_prompts_before_the_price_shows(house: House) -> None:
    """Contract, section 9: bands are rebuilt from the events, in the transaction that adds the price."""
    with house.as_role("owner") as connection:
        connection.execute(
            text("""
            insert into topic_log (cluster_id, topic, topic_id) values ('c', 't', 'i');
            insert into route (source, provider, model, service_tier, status, usage_source)
              values ('g', 'google', 'gem', 'standard', 'success', 'provider');
            insert into payer (department, attributed_by) values ('D001', 'event');
            insert into usage_event (event_key, time, kafka_offset, prompt_tokens, route_id, payer_id,
                                     partition, log_id, event_id, input_tokens)
              select gen_random_uuid(), '2026-10-03T01:00:00Z', n, n, 1, 1, 0, 1, n::text, n
              from unnest(array[200000, 200001]) n;
            insert into usage_part (hour, band, route_id, payer_id, partition, log_id, events, input_tokens)
              values (hour_of('2026-10-03T01:00:00Z'), 0, 1, 1, 0, 1, 2, 400001)""")
        )
    base = "google,gem,input_tokens,,,{above},KRW,{price},1,2026-01-01,,s"
    house.prices(base.format(above="", price="1"))
    assert house.totals("2026-10")["*"] == "400001"
    house.prices(base.format(above="200000", price="2"))
    assert house.totals("2026-10")["*"] == str(200_000 + 2 * 200_001)
    with house.as_role("reader") as connection:
        assert connection.execute(text("select array_agg(tokens_above) from prompt_threshold")).scalar() == [200_000]


def test_a_taken_back_import_leaves_nothing(house: House) -> None:
    with contextlib.suppress(RuntimeError), house.as_role("billing") as connection:
        seed_prices(connection, "os:test")
        raise RuntimeError
    with house.as_role("reader") as connection:
        assert read_price_rows(connection) == []
        assert connection.execute(text("select count(*) from prompt_threshold")).scalar() == 0


def test_seeding_twice_adds_once_and_gives_the_rules(house: House) -> None:
    with house.as_role("billing") as connection:
        seed, found = seed_prices(connection, "os:test")
    assert len(found.added) == len(seed.rows) > 5000
    with house.as_role("billing") as connection:
        again = seed_prices(connection, "os:test")[1]
    assert (again.new_rows, again.unchanged) == ((), len(seed.rows))
    with house.as_role("reader") as connection:
        assert read_rules(connection).meaning("azure", "gpt-5-mini-2025-08-07") == ("openai", "gpt-5-mini")
        assert {row.source for row in read_price_rows(connection, ["OpenAI"])} == {seed.source}
        stored = {(row.key, row.from_hour): row for row in read_price_rows(connection)}
        assert all(stored[row.key, row.from_hour].price == row.price for row in seed.rows)


def test_newer_rules_of_a_provider_replace_its_older_ones(house: House) -> None:
    with house.as_role("billing") as connection:
        seed, _ = seed_prices(connection, "os:test")
    rules = tuple(
        replace(rule, to_model="renamed") if rule.provider == "cohere" and rule.to_model else rule
        for rule in seed.rules
    )
    with house.as_role("billing") as connection:
        seed_prices(connection, "os:test", seed=replace(seed, rules=rules))
    with house.as_role("reader") as connection:
        found = read_rules(connection)
        assert found.meaning("cohere", "command-r") == ("cohere", "renamed")
        assert found.meaning("openai", "gpt-5-mini") == ("openai", "gpt-5-mini")
        assert connection.execute(text("select count(distinct import_id) from price_rule")).scalar() == 2


def test_the_book_holds_what_usage_may_need(house: House) -> None:
    """Only providers in use are read, and those whose rows their rules may ask."""
    with house.as_role("billing") as connection:
        seed_prices(connection, "os:test")
    house.use("2026-10-03T10:00:00+09:00", "D001", "gpt-5-mini-2025-08-07", {"input_tokens": 1}, provider="azure")
    with house.as_role("reader") as connection:
        book = read_book(connection)
    providers = {term.row.key.provider for term in book.terms}
    assert {"azure", "openai"} <= providers
    assert "openrouter" not in providers
    assert book.knows("azure", "gpt-5-mini-2025-08-07")


def test_law_3_holds_and_finds_a_planted_violation(house: House) -> None:
    filled(house)
    for department, tokens in (("D001", 333), ("D002", 333), (None, 334)):
        house.use("2026-10-03T10:00:00+09:00", department, "gpt-x", {"input_tokens": tokens})
    house.use("2026-12-03T10:00:00+09:00", "D001", "gpt-x", {"input_tokens": 1})
    with house.as_role("reader") as connection:
        assert months_with_usage(connection, MoneyPolicy()) == ["2026-10", "2026-11", "2026-12"]
        result = check_rounding(connection, MoneyPolicy())
    assert (result.law, result.violations) == ("3-rounding", ())
    assert result.checked == 11  # organisation, departments and lines: 1+3+3, 1 and 1+1+1
    month = house.month("2026-10")
    statement = month.statements[0]
    line = replace(statement.lines[0], amount=Decimal(2))
    planted = replace(month, statements=(replace(statement, lines=(line,)), *month.statements[1:]))
    assert any("booked 2" in sentence for sentence in rounding_of(planted).violations)
    assert any("lines add up to 2" in sentence for sentence in rounding_of(planted).violations)
    assert rounding_of(replace(month, total=month.total + 1)).violations
    assert rounding_of(replace(month, statements=month.statements[1:])).violations


def test_an_empty_database_has_no_months(house: House) -> None:
    with house.as_role("reader") as connection:
        assert check_rounding(connection, MoneyPolicy()) == ("3-rounding", 0, ())
    assert house.month("2026-10").statements == ()
