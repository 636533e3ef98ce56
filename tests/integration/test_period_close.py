"""Closing months in a real database: what the database refuses, what laws find, several at once, killed in the middle,
replayed; and the commands as a person runs them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from billing.ledger.close import MonthClosed, close_month
from billing.ledger.marks import COUNTED, DATED, NO_INPUT
from jangbu.migrate import migrate_database
from tests.integration.command_world import CommandShell, environment, use_database
from tests.integration.period_world import LATER, OCTOBER, PRICE, PeriodWorld, period_world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jangbu.services.postgres import DatabaseUrls

CHECKOUT = str(Path(__file__).resolve().parents[2])
TABLES = ("period_close", "period_state", "ledger_entry", "ledger_line", "statement")
KILLED_CLOSE = """
import sys, time
from datetime import UTC, datetime
from billing.ledger.close import close_month
from billing.policy import MoneyPolicy
from jangbu.database import connect

def observe(point):
    if point == sys.argv[2]:
        print(point, flush=True)
        time.sleep(600)

close_month(connect(sys.argv[1]), "2026-10", MoneyPolicy(), now=datetime(2027, 6, 1, tzinfo=UTC), actor="os:killed",
            observe=observe)
"""


@pytest.fixture
def world(migrated_database: DatabaseUrls) -> Iterator[PeriodWorld]:
    """One token of gpt-x costs 1.5 won; D1 used 101, D2 10."""
    with period_world(migrated_database) as made:
        made.house.prices(PRICE.format("1.5", "1"))
        made.use(made.one("a", OCTOBER, "D1", 101), made.one("b", OCTOBER, "D2", 10), made.one("a", OCTOBER, "D1", 101))
        yield made


@pytest.fixture
def shell(world: PeriodWorld, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any) -> CommandShell:
    use_database(world.urls, monkeypatch, tmp_path)
    return CommandShell(capsys)


# What the database refuses


@pytest.mark.parametrize("role", ["owner", "billing"])
@pytest.mark.parametrize("table", TABLES)
def test_nothing_booked_is_changed_by_anybody(world: PeriodWorld, role: str, table: str) -> None:
    column = {"ledger_line": "account", "period_state": "state"}.get(table, "month")
    world.close("2026-10")
    with psycopg.connect(world.urls.as_dict()[role], autocommit=True) as connection:
        changes = (f"update {table} set {column} = {column}", f"truncate {table} cascade")
        for statement in (*changes, f"delete from {table}", f"delete from {table} where false"):
            with pytest.raises((psycopg.errors.RestrictViolation, psycopg.errors.InsufficientPrivilege)) as refused:
                connection.execute(statement)
            if role == "owner":
                assert "never changed" in str(refused.value)


def test_an_entry_that_does_not_balance_is_refused_at_commit(world: PeriodWorld) -> None:
    world.close("2026-10")
    content = '{"lines":[],"month":"2026-11"}'
    with psycopg.connect(world.urls.billing) as connection:
        connection.execute(
            "insert into ledger_entry (id, month, reason, origin_month, description, content, actor) values"
            " (encode(sha256(convert_to(%(c)s, 'UTF8')), 'hex'), '2026-11', 'USAGE', '2026-11', 'x', %(c)s, 'os:t')",
            {"c": content},
        )
        for number, amount in ((1, 5), (2, -4)):
            connection.execute(
                "insert into ledger_line (entry_id, number, account, amount, currency)"
                " select id, %s, 'pool:x', %s, 'KRW' from ledger_entry where month = '2026-11'",
                (number, amount),
            )
        with pytest.raises(psycopg.errors.CheckViolation, match="add up to 1, not 0"):
            connection.execute("set constraints refuse_unbalanced immediate")


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (
            """insert into ledger_line (entry_id, number, account, amount, currency)
               select id, 99, 'pool:x', 0, 'KRW' from ledger_entry limit 1""",
            "is closed",
        ),
        (
            """insert into statement (month, kind, department, document, content_hash, total)
               values ('2026-10', 'department', 'D9', '{}', encode(sha256('{}'), 'hex'), 0)""",
            "is closed",
        ),
        (
            """insert into ledger_entry (id, month, reason, origin_month, description, content, actor)
               values (encode(sha256('x'), 'hex'), '2026-10', 'USAGE', '2026-10', 'x', 'x', 'os:t')""",
            "is closed",
        ),
        (
            """insert into period_close
               select '2026-09', 2, first_hour - 720, first_hour, policy, cut_offs, inputs, seen, accepted,
                      computed_from, content_hash, chain_hash, actor from period_close""",
            "periods close in order",
        ),
        ("insert into period_state (month, place, state, actor) values ('2026-11', 2, 'grace', 'os:t')", "follow"),
        ("insert into period_state (month, place, state, actor) values ('2026-10', 1, 'open', 'os:t')", "cannot be"),
    ],
)  # fmt: skip
def test_a_closed_month_takes_nothing_more(world: PeriodWorld, statement: str, said: str) -> None:
    world.close("2026-10")
    with (
        psycopg.connect(world.urls.owner, autocommit=True) as connection,
        pytest.raises(psycopg.errors.IntegrityError, match=said),
    ):
        connection.execute(statement)


def test_states_are_passed_through_once(world: PeriodWorld) -> None:
    world.close("2026-10")
    assert world.ask("select state from period_state where month = '2026-10' order by place") == [
        ("open",), ("grace",), ("reconciled",), ("closed",)
    ]  # fmt: skip


# Laws


@pytest.mark.parametrize(
    ("planted", "law", "said"),
    [
        ("update ledger_line set amount = amount - 1 where account = 'cost' and department = 'D1'", "3-rounding",
         "booked 150 for exactly 151[.]5, which is not within 1 of it"),
        ("update ledger_line set amount = amount + 0.1 where account = 'cost' and department = 'D1'", "3-rounding",
         "booked 151.1 for exactly"),
        ("update ledger_line set amount_exact = '455/3', amount = 150 where account = 'cost' and department = 'D1'",
         "3-rounding", "booked 150 for exactly 455/3"),
        ("update statement set total = total - 1 where kind = 'organisation'", "3-rounding", "booked 165"),
        ("update ledger_line set amount = amount + 1 where account = 'payable:openai'", "4-balanced", "debits"),
        ("delete from ledger_line where account = 'payable:openai'", "4-balanced", "does not|debits"),
        ("update ledger_line set amount = amount + 1 where account = 'cost' and department = 'D1'", "5-statements",
         "the statement shows 151, the ledger 152"),
        ("update statement set total = total + 1 where department = 'D2'", "5-statements", "its total is 16"),
        ("update statement set total = total + 1 where kind = 'organisation'", "5-statements", "add up to 166"),
        ("delete from statement where department = 'D2'", "5-statements", "D2"),
        ("delete from ledger_line where department = 'D1'", "5-statements", "the ledger 0"),
        ("update statement set document = replace(document, '151', '153') where department = 'D1'", "7-hashes",
         "its content hashes to"),
        (
            """update statement
               set document = replace(document, '151', '153'),
                   content_hash = encode(sha256(convert_to(replace(document, '151', '153'), 'UTF8')), 'hex')
               where department = 'D1'""",
            "7-hashes",
            "lists the hash",
        ),
        ("update period_close set content_hash = repeat('a', 64)", "7-hashes", "it names the hash aaaa"),
        ("update period_close set chain_hash = repeat('a', 64)", "7-hashes", "chain hash does not follow"),
        ("update ledger_line set department = 'D9' where department = 'D2'", "7-hashes", "its content says"),
        ("update ledger_entry set content = content || ' '", "7-hashes", "its content hashes to"),
        ("update ledger_entry set reason = 'TAX' where reason = 'USAGE'", "7-hashes", "differ from its content"),
    ],
)  # fmt: skip
def test_a_planted_violation_is_found(world: PeriodWorld, planted: str, law: str, said: str) -> None:
    world.close("2026-10")
    assert world.laws() == []
    for table in TABLES:
        world.bench.tell(f"alter table {table} disable trigger user")
    world.bench.tell("alter table statement drop constraint statement_check1")
    world.bench.tell("alter table ledger_entry drop constraint ledger_entry_check")
    world.bench.tell(planted)
    found = world.laws(law)
    assert any(re.search(said, sentence) for sentence in found), found


def test_every_table_that_only_grows_is_an_input_or_none(world: PeriodWorld) -> None:
    """A new table of rules has to be counted, or a change of it would not be seen in closed months."""
    rows = world.ask("""select distinct c.relname from pg_trigger t join pg_class c on c.oid = t.tgrelid
                        join pg_proc p on p.oid = t.tgfoid where p.proname = 'refuse_change'""")
    assert {name for (name,) in rows} <= {*COUNTED, *DATED, *NO_INPUT}


# At once, and in the middle


def test_two_closes_at_once_close_once(world: PeriodWorld, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "jangbu", "period", "close", "2026-10", "--confirm", "2026-10", "--json"]
    env = {**os.environ, **environment(world.urls), "PYTHONPATH": CHECKOUT}
    pipe = subprocess.PIPE
    both = [subprocess.Popen(command, env=env, stdout=pipe, stderr=pipe, cwd=tmp_path) for _ in range(2)]
    ended = [(one.communicate(timeout=120), one.returncode) for one in both]
    assert sorted(code for _, code in ended) == [0, 5], ended
    assert any(b"is closed" in err for (_, err), code in ended if code == 5)
    assert world.ask("select count(*) from period_close") == [(1,)]
    assert world.laws() == []


def test_a_second_close_waits_for_the_first(world: PeriodWorld) -> None:
    """The first is held before its commit; the second has not begun then, and finds the month closed."""
    at_commit, go_on, said = threading.Event(), threading.Event(), []

    def observe(point: str) -> None:
        if point == "before_commit":
            at_commit.set()
            assert go_on.wait(60)

    def close(name: str, observe: Callable[[str], None]) -> None:
        try:
            close_month(world.billing, "2026-10", world.house.policy, now=LATER, actor=f"os:{name}", observe=observe)
            said.append((name, "closed"))
        except MonthClosed:
            said.append((name, "found it closed"))
        except Exception as error:  # noqa: BLE001 - told by the test
            said.append((name, repr(error)))

    first = threading.Thread(target=close, args=("first", observe))
    second = threading.Thread(target=close, args=("second", lambda _point: None))
    first.start()
    assert at_commit.wait(60)
    second.start()
    while not world.ask("select 1 from pg_locks where locktype = 'advisory' and not granted"):
        assert second.is_alive(), said
    go_on.set()
    first.join()
    second.join()
    assert said == [("first", "closed"), ("second", "found it closed")]
    assert world.ask("select actor from period_close") == [("os:first",)]


@pytest.mark.parametrize("point", ["copies_out", "before_booking", "before_commit", "after_commit"])
def test_killed_in_the_middle_of_a_close(world: PeriodWorld, point: str) -> None:
    """kill -9 of the process that closes: nothing or all has happened, and the next close goes on at once."""
    expected = world.preview("2026-10").organisation["content_hash"]
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED_CLOSE, world.urls.billing, point], cwd=CHECKOUT, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline().strip() == point.encode()
        if point != "after_commit":
            assert world.ask("select count(*) from period_close") == [(0,)]
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    if point != "after_commit":
        for table in TABLES:
            assert world.ask(f"select count(*) from {table}") == [(0,)], table
        assert world.close("2026-10").organisation["content_hash"] == expected
    assert world.ask("select content_hash from period_close") == [(expected,)]
    world.use(world.one("next", OCTOBER, "D1", 1))  # the workers go on
    assert world.laws("1-accepted", "2-sums", "4-balanced", "5-statements", "7-hashes") == []


def test_a_close_while_workers_write_takes_what_is_below_its_cut_offs(world: PeriodWorld) -> None:
    """Whatever is stored meanwhile is either in the statement or corrected: together it is everything, once."""
    stop, failed = threading.Event(), []

    def write() -> None:
        try:
            for number in range(10_000):
                world.use(world.one(f"w{number}", OCTOBER, f"D{number % 3}", 1), partition=1)
                if stop.is_set():
                    return
        except Exception as error:  # noqa: BLE001 - told by the test
            failed.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while not world.ask("select 1 from stream_offset where partition = 1 and next_offset > 5"):
            assert not failed
        draft = world.close("2026-10")
    finally:
        stop.set()
        writer.join()
    assert not failed
    below = {one.partition: one.next_offset for one in draft.cut_offs}
    is_within = f"kafka_offset < case partition when 0 then {below[0]} else {below[1]} end"
    counted = world.ask(f"select sum(input_tokens) filter (where {is_within}), sum(input_tokens) from usage_event")
    within, everything = (int(value) for value in counted[0])
    assert Fraction(draft.organisation["total_exact"]) == Fraction(3, 2) * within
    assert within < everything
    late = world.organisation("2026-11")
    assert Fraction(draft.organisation["total_exact"]) + Fraction(late["total_exact"]) == Fraction(3, 2) * everything
    assert world.laws("1-accepted", "2-sums", "4-balanced", "5-statements", "7-hashes") == []


# Replay


def test_sums_rebuilt_from_events_give_the_same_hashes(world: PeriodWorld) -> None:
    world.use(world.one("a", "2026-10-08T10:00:00+09:00", "D1", 101))  # a copy with another time
    world.use(world.one("c", OCTOBER, "D1", 1, units={"rare_pages": 7}), partition=1)
    from_sums = world.preview("2026-10")
    from_events = world.preview("2026-10", from_events=True)
    assert from_sums.copies_taken_out == 1
    assert from_events.documents == from_sums.documents
    world.close("2026-10", "unpriced", from_events=True)
    assert world.organisation("2026-10")["content_hash"] == from_sums.organisation["content_hash"]
    assert world.documents("2026-11") == {}


@pytest.mark.parametrize("order", ["as it was", "all records first"])
def test_a_replay_into_an_empty_database_gives_the_same_hashes(
    world: PeriodWorld, database: DatabaseUrls, order: str
) -> None:
    """The same records of the topic and the same inputs, either step by step, or with every record read before the
    first close, which then counts what stands below its recorded cut-offs."""
    draft = world.close("2026-10")
    world.house.prices(PRICE.format("2", "1").replace("2026-01-01", "2026-10-02"))
    world.use(world.one("late", OCTOBER, "D3", 7), world.one("n", "2026-11-03T00:00:00Z", "D1", 5), partition=1)
    second = world.close("2026-11")
    hashes = world.ask("select month, content_hash, chain_hash from period_close order by month")

    migrate_database(database.owner)
    with period_world(database) as again:
        again.house.prices(PRICE.format("1.5", "1"))
        if order == "as it was":
            for partition, events in world.sent[:1]:
                again.use(*events, partition=partition)
            again.close("2026-10")
        for partition, events in world.sent[1 if order == "as it was" else 0 :]:
            again.use(*events, partition=partition)
        if order != "as it was":
            assert again.preview("2026-10").organisation["content_hash"] != draft.organisation["content_hash"]
            again.close("2026-10", until=draft.cut_offs)
        again.house.prices(PRICE.format("2", "1").replace("2026-01-01", "2026-10-02"))
        again.close("2026-11", until=None if order == "as it was" else second.cut_offs)
        assert again.ask("select month, content_hash, chain_hash from period_close order by month") == hashes
        assert again.documents("2026-11") == world.documents("2026-11")
        assert again.documents("2026-12") == {}
        assert again.laws() == []


# Commands


def test_from_checklist_to_close(shell: CommandShell, world: PeriodWorld) -> None:
    status = shell.json("period", "status", "2026-10")
    assert (status["state"], status["blockers"]) == ("open", [])
    states = {check["name"]: check["state"] for check in status["checklist"]}
    assert states == {
        "ended": "ok", "order": "ok", "settings": "ok", "caught-up": "warn", "laws": "ok", "quarantine": "ok",
        "unpriced": "ok", "unconverted": "ok", "unattributed": "ok", "invoices": "warn", "breaks": "warn",
        "reconciled": "ok",
    }  # fmt: skip
    dry = shell.json("period", "close", "2026-10", "--dry-run")
    alone = shell.json("period", "close", "2026-10")
    assert (dry["dry_run"], dry["closed"], dry["total"], len(dry["statements"])) == (True, False, "166", 2)
    assert dry["entries"] == alone["entries"]
    _, shown_dry, _ = shell.run("period", "close", "2026-10", "--dry-run")
    assert "\tcost\tD1\tgpt-x input_tokens\t151\t151.5\tD1: use of 2026-10\n" in shown_dry
    assert world.ask("select count(*) from period_close") == [(0,)]
    assert shell.json("statement", "show", "2026-10", "D1")["status"] == "open"

    closed = shell.json("period", "close", "2026-10", "--confirm", "2026-10")
    assert (closed["closed"], closed["content_hash"]) == (True, dry["content_hash"])
    shown = shell.json("statement", "show", "2026-10", "D1")
    assert (shown["status"], shown["total"], shown["last_month"]["total"]) == ("closed", "151", "0")
    assert shell.json("statement", "list", "2026-10")["statements"][0]["content_hash"] == shown["content_hash"]
    whole = shell.json("statement", "show", "2026-10", "organisation")
    assert (whole["total"], whole["content_hash"], whole["lines"][0]["quantity"]) == ("166", dry["content_hash"], "111")
    assert shell.json("statement", "show", "2026-11", "D1")["last_month"] == {
        "month": "2026-10", "total": "151", "status": "closed"
    }  # fmt: skip
    kept = shell.json("period", "status", "2026-10")
    assert (kept["state"], kept["content_hash"]) == ("closed", dry["content_hash"])
    assert kept["cut_offs"][0]["next_offset"] == 3
    assert [(one["month"], one["state"]) for one in shell.json("period", "status")["periods"]] == [
        ("2026-10", "closed"), ("2026-11", "open")
    ]  # fmt: skip
    for words in (("--confirm", "2026-10"), ("--dry-run",), ()):
        code, out, err = shell.run("period", "close", "2026-10", *words)
        assert (code, out, "2026-10 is closed" in err) == (5, "", True)
    assert shell.json("audit")["ok"] is True


def test_what_blocks_is_named_and_accepted_by_name(shell: CommandShell, world: PeriodWorld) -> None:
    world.use(world.one("u", OCTOBER, None, 50, user=None), world.one("n", OCTOBER, "D1", 3, model="new"))
    world.use(world.one("neg", OCTOBER, "D1", -1))
    code, out, err = shell.run("period", "close", "2026-10", "--confirm", "2026-10", "--json")
    assert (code, out) == (5, "")
    for name in ("quarantine", "unpriced", "unattributed"):
        assert f"--accept {name}" in err
    assert shell.json("period", "close", "2026-10")["blockers"] == ["quarantine", "unpriced", "unattributed"]
    _, listed, _ = shell.run("period", "close", "2026-10", "--accept", "unpriced")
    assert "\nunpriced\taccepted\t" in listed
    assert "\nquarantine\tblock\t" in listed
    some = shell.run("period", "close", "2026-10", "--confirm", "2026-10", "--accept", "unpriced,quarantine")
    assert (some[0], "31.06 % of the cost" in some[2]) == (5, True), some[2]
    done = shell.json("period", "close", "2026-10", "--confirm", "2026-10", "--accept", "unpriced,quarantine",
                      "--accept", "unattributed", "--accept", "breaks")  # fmt: skip
    assert done["closed"] is True
    assert shell.json("period", "status", "2026-10")["accepted"] == ["quarantine", "unattributed", "unpriced"]
    states = {check.name: check.state for check in world.close("2026-11").checks}
    assert states["quarantine"] == "ok"  # decided by the close before


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("2026-10", "--confirm", "2026-11"), 2, "name the same twice"),
        (("2026-13", "--confirm", "2026-13"), 2, "'2026-13'"),
        (("2026-10", "--confirm", "2026-10", "--accept", "everything"), 2, "'everything'"),
        (("2999-10", "--confirm", "2999-10"), 5, "has not ended"),
        (("2026-11", "--confirm", "2026-11", "--timezone", "UTC", "--dry-run"), 0, ""),
        (("2026-10", "--cut-offs", "nowhere.json"), 4, "nowhere.json"),
    ],
)
def test_wrong_words_and_states(shell: CommandShell, words: tuple[str, ...], code: int, says: str) -> None:
    ended, _, err = shell.run("period", "close", *words)
    assert (ended, says in err) == (code, True), err


def test_an_earlier_month_comes_first(shell: CommandShell, world: PeriodWorld) -> None:
    world.use(world.one("s", "2026-09-03T10:00:00+09:00", "D1", 1))
    code, _, err = shell.run("period", "close", "2026-10", "--confirm", "2026-10")
    assert (code, "2026-09 holds use and is open" in err) == (5, True)


def test_other_settings_do_not_close_what_follows(shell: CommandShell, world: PeriodWorld) -> None:
    world.close("2026-10")
    for setting, said in (("--timezone=UTC", "JANGBU_TIMEZONE=Asia/Seoul"), ("--currency=USD", "JANGBU_CURRENCY=KRW")):
        code, _, err = shell.run("period", "close", "2026-11", "--confirm", "2026-11", setting)
        assert (code, said in err) == (5, True), err


def test_a_replay_by_command(shell: CommandShell, world: PeriodWorld, tmp_path: Path) -> None:
    closed = shell.json("period", "close", "2026-10")
    (tmp_path / "status.json").write_text(json.dumps(closed), encoding="utf-8")
    world.use(world.one("late", OCTOBER, "D1", 1000))
    again = shell.json("period", "close", "2026-10", "--cut-offs", "status.json")
    assert (again["content_hash"], again["computed_from"]) == (closed["content_hash"], "events")
    (tmp_path / "status.json").write_text("{}", encoding="utf-8")
    assert shell.run("period", "close", "2026-10", "--cut-offs", "status.json")[0] == 2


def test_law_3_reads_the_kept_documents(world: PeriodWorld) -> None:
    from billing.laws import check_rounding, rounding_of_kept
    from billing.ledger.kept import read_kept

    draft = world.close("2026-10")
    with world.house.as_role("reader") as connection:
        assert check_rounding(connection, world.house.policy).violations == ()
        kept = read_kept(connection, "2026-10")
    assert rounding_of_kept(kept, draft.computed.policy).checked == 6  # three documents of one line
    planted_figures = (
        ("amount", "152", "add up to 152"),
        ("amount_exact", "149", "booked 151 for exactly 149"),
        ("amount_exact", "303/2", ""),
    )
    for name, planted, said in planted_figures:
        line = kept[0].document["lines"][0]
        before, line[name] = line[name], planted
        found = rounding_of_kept(kept, draft.computed.policy).violations
        assert any(said in sentence for sentence in found) if said else not found
        line[name] = before
