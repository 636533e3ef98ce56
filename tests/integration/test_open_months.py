"""The kept documents of an open month: read only where they are what the month comes to, whatever changed."""

from __future__ import annotations

import json
from functools import partial
from threading import Barrier, Thread
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from billing import open_months, statement_document
from billing.laws import check_rounding
from billing.open_months import keep, read_kept_open, read_locked, read_mark, unwatched
from billing.periods import month_in
from billing.policy import MoneyPolicy
from billing.statement_document import read_month, read_statement
from billing.store import snapshot
from jangbu.database import connect
from tests.integration.command_world import CommandShell, use_database
from tests.integration.period_world import PRICE, period_world
from tests.integration.test_allocation_commands import HEADER as RULES
from tests.integration.test_allocation_commands import VENDORS
from tests.scenarios.test_prices_months import TERMS_HEADER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from jangbu.services.postgres import DatabaseUrls
    from tests.integration.period_world import PeriodWorld

MONTH = "2026-10"
DAY = "2026-10-03T10:00:00+09:00"
SEPTEMBER = "2026-09-10T10:00:00+09:00"
DEPARTMENTS = (
    "department,name,parent,cost_centre,head_user,deputy_user,notify,programme,budget_item,valid_from,valid_to\n"
)
TAXED = VENDORS + "openai,OpenAI,openai,,UTC,USD,domestic_invoice,0.1,,5,2026-01-01,\n"
RATES = "date,base,quote,rate,source\n"
ROSTER = "user,key,department,department_name,cost_centre,valid_from,valid_to,pledge_signed_on\n"


class Kept:
    """A world, commands on it, and how often a month was computed."""

    def __init__(self, world: PeriodWorld, shell: CommandShell, directory: Path, monkeypatch: pytest.MonkeyPatch):
        self.world, self.shell, self.directory = world, shell, directory
        self.computed = 0
        compute = statement_document.compute_open

        def counted(*arguments: Any) -> Any:
            self.computed += 1
            return compute(*arguments)

        monkeypatch.setattr(statement_document, "compute_open", counted)

    def documents(self, policy: MoneyPolicy | None = None) -> Any:
        """As a reader sees the month; computed ones are kept."""
        with snapshot(self.world.reader) as connection:
            return read_month(connection, MONTH, policy or self.world.house.policy, partial(keep, self.world.billing))

    def anew(self) -> Any:
        """The same, computed whatever is kept."""
        with snapshot(self.world.reader) as connection:
            computed, status = statement_document.compute_open(connection, MONTH, self.world.house.policy)
            self.computed -= 1
        documents = [statement_document.statement_document(one, computed, status) for one in computed.statements]
        return statement_document.organisation_document(computed, documents, status), documents

    def is_kept(self) -> bool:
        """Whether a reader finds the month, computing nothing."""
        before = self.computed
        shown = self.documents()
        assert json.dumps(shown) == json.dumps(self.anew())
        return self.computed == before

    def command(self, *words: object, file: str | None = None) -> None:
        """Run a command, on a file of this content where one is given; it must end well."""
        paths = []
        if file is not None:
            paths = [self.directory / "given.csv"]
            paths[0].write_text(file, encoding="utf-8")
        code, _, said = self.shell.run(*words, *paths)
        assert code in (0, 6), said


@pytest.fixture
def kept(
    migrated_database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[Kept]:
    use_database(migrated_database, monkeypatch, tmp_path)
    with period_world(migrated_database) as world:
        world.house.prices(
            PRICE.format(1, 1), "openai,gpt-usd,input_tokens,,,,USD,1,1000,2026-01-01T00:00:00Z,,letter"
        )
        world.house.fx("2026-10-01,USD,KRW,1400,bank")
        world.use(
            world.one("a", DAY, "D001", 1000), world.one("b", DAY, "D002", 3000, model="gpt-usd"),
            world.one("c", DAY, None, 77, user="u-7"), world.one("d", SEPTEMBER, "D001", 500),
        )  # fmt: skip
        yield Kept(world, CommandShell(capsys), tmp_path, monkeypatch)


def enrich(kept: Kept) -> None:
    """One of everything that a statement can be made of: taxes, rules of all kinds, terms, a closed month before with
    something late for it, names, people."""
    kept.command("vendor", "import", file=TAXED)
    kept.command(
        "allocation", "import",
        file=RULES + "support,fixed,100,KRW,users,,,2026-10,,c\nheads,fixed,50,KRW,headcount,,,2026-10,,c\n"
        "nobody,unattributed,,,cost,,,2026-10,,c\nfee,invoice_fee:openai,,,tokens,,,2026-10,,c\n"
        "credit,invoice_credit:openai,,,cost,,,2026-10,,c\nbreaks,invoice_difference:openai,,,cost,,,2026-10,,c\n",
    )  # fmt: skip
    kept.command("department", "import", file=DEPARTMENTS + "D001,예산과,,,,,,,,2026-01-01,\n")
    kept.command("price", "terms", "import",
                 file=TERMS_HEADER + "ten,discount,openai,gpt-x,,,,10,,,,2026-01-01,,letter\n")  # fmt: skip
    late_use(kept)


def late_use(kept: Kept) -> None:
    """Something for September, once that is closed."""
    kept.world.close("2026-09", "unpriced", "unattributed")
    kept.world.use(kept.world.one("late", SEPTEMBER, "D002", 41))


CHANGES: dict[str, Callable[[Kept], object]] = {
    "an event": lambda k: k.world.use(k.world.one("e1", DAY, "D001", 5)),
    "an event of the last hour": lambda k: k.world.use(k.world.one("e2", "2026-10-31T23:59:59+09:00", "D001", 5)),
    "an event of another model": lambda k: k.world.use(k.world.one("e3", DAY, "D003", 5, model="gpt-z")),
    "a price": lambda k: k.command(
        "price", "import", "--yes",
        file="provider,model,unit,service_tier,region,prompt_above,currency,price,per,valid_from,valid_to,source\n"
        "openai,gpt-z,input_tokens,,,,KRW,2,1,2026-01-01T00:00:00Z,,letter\n"),
    "a rate of exchange": lambda k: k.command("fx", "import", file=RATES + "2026-10-02,USD,KRW,1500,b\n"),
    "a tax": lambda k: k.command("vendor", "import", file=TAXED),
    "a rule": lambda k: k.command("allocation", "import", file=RULES + "support,fixed,100,KRW,users,,,2026-10,,c\n"),
    "a name": lambda k: k.command("department", "import", file=DEPARTMENTS + "D001,예산과,,,,,,,,2026-01-01,\n"),
    "terms": lambda k: k.command("price", "terms", "import",
                                 file=TERMS_HEADER + "ten,discount,openai,gpt-x,,,,10,,,,2026-01-01,,letter\n"),
    "the roster": lambda k: k.command("roster", "import", "--yes", file=ROSTER + "u-7,,D009,,,2026-01-01,,\n"),
    "late use of a closed month": late_use,
    "a state": lambda k: k.world.bench.tell(
        "insert into period_state (month, place, state, actor) values ('2026-10', 1, 'open', 'os:test'), "
        "('2026-10', 2, 'grace', 'os:test')"),
}  # fmt: skip
"""What changes a statement of October, in an order in which each can."""


def test_whatever_changes_the_documents_change_with_it(kept: Kept) -> None:
    for what, change in CHANGES.items():
        kept.documents()
        assert kept.is_kept(), what
        before = kept.anew()
        change(kept)
        assert kept.anew() != before, f"{what} changes nothing: no test of anything"
        assert not kept.is_kept(), what
        assert kept.is_kept(), what


def test_what_is_for_a_later_month_or_no_statement_leaves_them(kept: Kept) -> None:
    kept.documents()
    kept.world.use(kept.world.one("n", "2026-11-01T00:00:00+09:00", "D001", 5, model="gpt-new"))
    kept.command("budget", "import", file="department,period,amount,currency\nD001,2026-10,9999,KRW\n")
    kept.world.bench.tell("select roll_up_usage('Asia/Seoul')")
    assert kept.is_kept()


def test_choices_and_code_are_inputs_too(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.documents()
    won, ten = kept.documents()[0], kept.documents(MoneyPolicy(step_digits=1))[0]
    assert (won["total"], ten["total"]) != (ten["total"], won["total"])
    kept.documents()
    assert kept.is_kept()
    monkeypatch.setattr(open_months, "code_digest", lambda: "of other code")
    assert not kept.is_kept()


def read_tables(kept: Kept) -> frozenset[str]:
    with snapshot(kept.world.reader) as connection:
        read_month(connection, MONTH, kept.world.house.policy)
        return read_locked(connection)


def test_every_table_that_a_statement_reads_is_watched(kept: Kept) -> None:
    """Found by the locks that reading takes, so that a table which is added is found too: give it to `watch_input` in
    its migration."""
    enrich(kept)
    tables = read_tables(kept)
    assert {"price", "fx_rate", "vendor", "allocation_rule", "contract_term", "department", "roster", "period_close",
            "statement", "usage_part", "usage_event", "invoice_line", "break_decision"} <= tables  # fmt: skip
    with snapshot(kept.world.reader) as connection:
        assert unwatched(connection, tables) == []


def test_a_change_of_any_watched_table_is_noted(kept: Kept) -> None:
    watched = [name for (name,) in kept.world.ask(
        """select c.relname from pg_trigger t join pg_class c on c.oid = t.tgrelid
           where t.tgname = 'note_input_change' order by 1""")]  # fmt: skip
    assert len(watched) > 25
    for table in watched:
        kept.documents()
        assert kept.is_kept(), table
        statement = f"insert into {table} overriding system value select * from {table} where false"
        if table == "quarantine":
            statement = "update quarantine set state = state where false"
        kept.world.bench.tell(statement)
        assert not kept.is_kept(), table


@pytest.mark.parametrize("table", ["price", "vendor", "period_close"])
def test_where_something_is_read_unwatched_nothing_is_kept(kept: Kept, table: str) -> None:
    """The planted defect: an input that the mark leaves out."""
    kept.world.bench.tell(f"drop trigger note_input_change on {table}")
    with snapshot(kept.world.reader) as connection:
        assert unwatched(connection, read_tables(kept)) == [table]
    kept.documents()
    assert not kept.is_kept()


def test_a_kept_month_reads_as_a_computed_one_to_the_letter(kept: Kept) -> None:
    enrich(kept)
    computed = kept.documents()
    assert kept.is_kept()
    assert json.dumps(kept.documents()) == json.dumps(computed)
    for code in ("D001", None, "D404"):
        with snapshot(kept.world.reader) as connection:
            one, is_there = read_statement(connection, MONTH, kept.world.house.policy, code)
        assert is_there == (code != "D404")
        if is_there:
            assert one in computed[1]
        else:
            assert (one["total"], one["lines"]) == ("0", [])
    shown = kept.shell.json("statement", "show", MONTH, "D001")
    assert shown["content_hash"] == kept.shell.json("statement", "list", MONTH)["statements"][0]["content_hash"]


def test_commands_keep_what_they_compute(kept: Kept) -> None:
    kept.shell.json("statement", "show", MONTH, "D001")
    kept.computed = 0
    kept.shell.json("statement", "list", MONTH)
    assert kept.computed == 0


def test_a_login_that_may_not_write_computes(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JANGBU_DATABASE_URL_BILLING", kept.world.urls.reader)
    told = [kept.shell.json("statement", "show", MONTH, "D001") for _ in range(2)]
    assert told[0] == told[1]
    assert kept.world.ask("select count(*) from open_month") == [(0,)]
    for role, table in (("reader", "open_month"), ("worker", "open_statement"), ("billing", "input_change")):
        engine = connect(kept.world.urls.as_dict()[role])
        with pytest.raises(Exception, match="permission denied"), engine.begin() as connection:
            connection.execute(text(f"delete from {table}"))
        engine.dispose()


def test_a_transaction_that_commits_after_the_reading_is_seen(kept: Kept) -> None:
    """A worker that was writing while the month was computed: its number is below those that the snapshot saw."""
    more = """insert into usage_part (hour, route_id, payer_id, partition, log_id, events, input_tokens)
              select hour, route_id, payer_id, partition, log_id, 0, 1000 from usage_part order by hour limit 1"""
    billing, owner = connect(kept.world.urls.billing), connect(kept.world.urls.owner)
    with owner.connect() as late, billing.connect() as price:
        late.execute(text(more))
        price.execute(text("insert into price_rule select * from price_rule where false"))
        kept.documents()
        assert kept.is_kept()
        price.commit()
        assert not kept.is_kept()
        assert kept.is_kept()
        late.commit()
    billing.dispose()
    owner.dispose()
    assert not kept.is_kept()


def test_of_two_that_keep_the_later_snapshot_stays(kept: Kept) -> None:
    made: list[open_months.OpenMonth] = []
    policy = kept.world.house.policy
    with snapshot(kept.world.reader) as connection:
        read_month(connection, MONTH, policy, made.append)
        kept.world.use(kept.world.one("e1", DAY, "D001", 5))
        kept.documents()
        assert not keep(kept.world.billing, made[0])
        # The earlier snapshot does not see what was kept meanwhile, and goes on showing its own state.
        again = read_month(connection, MONTH, policy)
        assert (again[0], again[1]) == (made[0].organisation, made[0].departments)
    assert kept.is_kept()


def test_many_readers_and_a_worker_at_once(kept: Kept) -> None:
    """Whatever comes when, each reader sees the total of some state between its beginning and its end."""
    start, problems = Barrier(4), []

    def read(engine: Any) -> None:
        start.wait()
        last = 0
        for _ in range(12):
            with snapshot(engine) as connection:
                used = connection.execute(text("select sum(input_tokens) from usage_part where hour < 493000")).scalar()
                whole, _ = read_month(connection, MONTH, kept.world.house.policy, partial(keep, kept.world.billing))
                seen = connection.execute(
                    text("select sum(p.input_tokens) from usage_part p join route r on r.id = p.route_id "
                         "where hour >= :low and model = 'gpt-x'"),
                    {"low": month_in(MONTH, "Asia/Seoul").first_hour},
                ).scalar_one()  # fmt: skip
            shown = sum(int(line["quantity"]) for line in whole["lines"]
                        if (line["model"], line["unit"]) == ("gpt-x", "input_tokens"))  # fmt: skip
            if shown != seen or seen < last:
                problems.append((shown, seen, last, used))
            last = seen

    def work() -> None:
        start.wait()
        for place in range(10):
            kept.world.use(kept.world.one(f"w{place}", DAY, "D001", 1 + place))

    engines = [connect(kept.world.urls.reader) for _ in range(3)]
    threads = [Thread(target=read, args=[engine]) for engine in engines] + [Thread(target=work)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for engine in engines:
        engine.dispose()
    assert problems == []
    kept.documents()
    assert kept.is_kept()


def test_another_cluster_s_numbers_mean_nothing(kept: Kept) -> None:
    kept.documents()
    kept.world.bench.tell("update open_month set cluster = 1, next_number = 1::bigint << 60")
    assert not kept.is_kept()
    assert kept.is_kept()


def test_what_was_kept_goes_when_its_month_is_closed(kept: Kept) -> None:
    kept.documents()
    for month in ("2026-09", MONTH):
        kept.world.close(month, "unpriced", "unattributed")
    shown = kept.documents()
    assert shown[0]["status"] == "closed"
    with snapshot(kept.world.reader) as connection:
        read_month(connection, "2026-11", kept.world.house.policy, partial(keep, kept.world.billing))
    assert kept.world.ask("select distinct month from open_statement") == [("2026-11",)]


@pytest.mark.parametrize("planted", [
    "update open_statement set document = replace(document, '\"1000\"', '\"1001\"') where department = 'D001'",
    "update open_statement set document = replace(document, '\"1000\"', '\"1001\"') where kind = 'organisation'",
    "delete from open_statement where department = 'D002'",
])  # fmt: skip
def test_audit_finds_a_kept_document_that_is_wrong(kept: Kept, planted: str) -> None:
    kept.documents()
    with snapshot(kept.world.reader) as connection:
        assert check_rounding(connection, kept.world.house.policy).violations == ()
    kept.world.bench.tell(planted)
    with snapshot(kept.world.reader) as connection:
        found = check_rounding(connection, kept.world.house.policy).violations
    assert found
    assert all("kept document" in sentence for sentence in found)


def test_no_mark_without_a_snapshot(kept: Kept) -> None:
    """Two reads that see two states could match a mark with the documents of another."""
    kept.documents()
    month = month_in(MONTH, "Asia/Seoul")
    with kept.world.reader.connect() as connection:
        assert read_mark(connection, month, kept.world.house.policy) is None
    with snapshot(kept.world.reader) as connection:
        mark = read_mark(connection, month, kept.world.house.policy)
        assert mark is not None
        assert read_kept_open(connection, month, mark) is not None
