"""`jangbu break`: the work list, decisions that are only added, two persons, and what it all leaves on statements."""

from __future__ import annotations

import hashlib
from threading import Thread
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import text

from billing.breaks.deciding import Asked, Decided, DecisionRefused, decide
from billing.breaks.worklist import Wanted, read_items
from jangbu.migrate import migrate_database
from tests.integration.command_world import CommandShell, use_database
from tests.integration.period_world import OCTOBER, PRICE, PeriodWorld, period_world
from tests.scenarios.money_world import import_rules

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from jangbu.services.postgres import DatabaseUrls

LAWS = ("4-balanced", "5-statements", "7-hashes")
OURS = {"quantity": "1000", "amount": "10"}
Row = tuple[str, str, str, str]
"""(class, amount, day, model)."""

FOUND = [
    ("PRICE", "30", "2026-10-03", "gpt-x"),
    ("PRICE", "50", "2026-10-04", "gpt-x"),
    ("BYPASS", "2000", "2026-10-05", "gpt-y"),
    ("ROUNDING", "0.2", "2026-10-05", "gpt-y"),
]


def put_run(
    world: PeriodWorld, rows: Sequence[Row], vendor: str = "openai", month: str = "2026-10", *, why: str = "seen"
) -> None:
    """A recorded reconciliation whose breaks are these, in won."""
    with world.house.as_role("billing") as connection:
        number = connection.execute(
            text("""insert into reconciliation (vendor, month, first_day, end_day, currency, last_import_id,
                        invoice_total, ours_total, matched_groups, matched_amount, content_hash, actor)
                    values (:vendor, :month, cast(:month || '-01' as date),
                            cast(cast(:month || '-01' as date) + interval '1 month' as date), 'KRW', 1, 0, 0, 0, 0,
                            repeat('0', 64), 'os:test') returning id"""),
            {"vendor": vendor, "month": month},
        ).scalar_one()
        for place, (cls, amount, day, model) in enumerate(rows, 1):
            connection.execute(
                text("""insert into reconciliation_break (reconciliation_id, place, class, amount, key, ours, vendor,
                                                          why, provisional)
                        values (:id, :place, :class, cast(:amount as numeric),
                                jsonb_build_object('day', cast(:day as text), 'model', cast(:model as text),
                                                   'unit', 'input_tokens'),
                                '{"quantity": "1000", "amount": "10"}', '{"quantity": "1100", "amount": "11"}', :why,
                                false)"""),
                {"id": number, "place": place, "class": cls, "amount": amount, "day": day, "model": model, "why": why},
            )


@pytest.fixture
def world(
    migrated_database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[PeriodWorld]:
    """October: D1 used 100 won, D2 300. OpenAI's prices differ on two days, and something bypassed us."""
    use_database(migrated_database, monkeypatch, tmp_path)
    monkeypatch.setenv("JANGBU_WRITEOFF_LIMIT", "1000")
    with period_world(migrated_database) as made:
        made.house.prices(PRICE.format(1, 1))
        made.use(made.one("a", OCTOBER, "D1", 100), made.one("b", OCTOBER, "D2", 300))
        put_run(made, FOUND)
        yield made


@pytest.fixture
def shell(world: PeriodWorld, capsys: pytest.CaptureFixture[str]) -> CommandShell:
    return CommandShell(capsys)


def listed(shell: CommandShell, *words: str, code: int = 6) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = shell.json("break", "list", "--month", "2026-10", *words, code=code)["breaks"]
    return found


def name_of(shell: CommandShell, cls: str, code: int = 6) -> str:
    (found,) = listed(shell, "--class", cls, code=code)
    return str(found["break"])


def check_of(shell: CommandShell, month: str = "2026-10") -> tuple[str, str]:
    checks = shell.json("period", "status", month)["checklist"]
    (found,) = [one for one in checks if one["name"] == "breaks"]
    return found["state"], found["sentence"]


def entries(world: PeriodWorld) -> list[tuple[str, str, str, str]]:
    """(booked in, reason, about, description) of what decided breaks made."""
    return world.ask("""select month, reason, origin_month, description from ledger_entry
                        where reason = 'INVOICE_DIFFERENCE' order by month, description""")


def totals(world: PeriodWorld, month: str) -> dict[str | None, str]:
    return {code: one["total"] for code, one in world.documents(month).items()}


def test_days_of_one_cause_are_one_break_and_rounding_is_no_work(shell: CommandShell) -> None:
    found = listed(shell)
    assert [(one["class"], one["amount"], len(one["days"]), one["state"]) for one in found] == [
        ("BYPASS", "2000", 1, "open"), ("PRICE", "80", 2, "open"),
    ]  # fmt: skip
    assert found[1]["ours"] == {"quantity": "2000", "amount": "20"}
    assert [one["class"] for one in listed(shell, "--class", "rounding", code=0)] == ["ROUNDING"]
    code, out, err = shell.run("break", "list", "--csv")
    assert code == 6
    assert "2 of 2 breaks are open" in err
    assert out.splitlines()[0].startswith("break,vendor,month,class,amount")
    assert shell.run("break", "list", "--month", "2026-09")[0] == 0


def test_an_accepted_break_is_charged_by_cost_and_booked_with_its_name(shell: CommandShell, world: PeriodWorld) -> None:
    assert check_of(shell) == ("block", "breaks are open: 2 with openai in KRW")
    price = name_of(shell, "PRICE")
    done = shell.json("break", "accept", price, "--reason", "new price list")
    assert done["breaks"] == [{"break": price, "action": "accept", "was": "open", "state": "accepted", "amount": "80",
                               "currency": "KRW"}]  # fmt: skip
    assert shell.json("break", "dispute", "--class", "BYPASS", "--reason", "not our key")["actor"].startswith("os:")
    assert listed(shell, "--state", "open", code=0) == []
    assert check_of(shell) == ("warn", "no break is open; 1 disputed")
    assert totals(world, "2026-10") == {"D1": "120", "D2": "360"}
    (share,) = world.documents("2026-10")["D1"]["allocated"]
    assert share["pool"] == "invoice_difference:openai"
    assert share["pool_document"]["breaks"] == [
        {"break": price, "class": "PRICE", "state": "accepted", "amount": "80", "currency": "KRW"}
    ]
    world.close("2026-10", "reconciled")  # the run is made up: nothing was imported
    assert entries(world) == [
        ("2026-10", "INVOICE_DIFFERENCE", "2026-10", description)
        for description in (
            "D1: differences of the invoices of openai for 2026-10, as decided",
            "D2: differences of the invoices of openai for 2026-10, as decided",
            "openai: differences of its invoice for 2026-10, as decided",
        )
    ]
    assert world.ask("""select sum(amount) from ledger_line where account like 'pool:%%'""") == [(0,)]
    assert world.ask("""select sum(amount) from ledger_line where account = 'payable:openai'""") == [(-480,)]
    assert world.laws(*LAWS) == []


def test_what_is_decided_after_the_close_is_booked_in_the_open_month(shell: CommandShell, world: PeriodWorld) -> None:
    """Accepted, then taken back: every won comes and goes by a rule of shared costs, and the closed month stays."""
    import_rules(world.house, "differences,invoice_difference:openai,,,shares,,D1=1; D2=3,2026-10,,decided")
    world.close("2026-10", "breaks", "reconciled")  # the run is made up: nothing was imported
    kept = world.documents("2026-10")
    assert totals(world, "2026-10") == {"D1": "100", "D2": "300"}  # 0.2 of rounding is shared, and rounds away
    price = name_of(shell, "PRICE")
    shell.json("break", "accept", price, "--reason", "yes")
    (more,) = world.documents("2026-11")["D1"]["adjustments"]
    assert (more["reason"], more["amount_exact"]) == ("INVOICE_DIFFERENCE", "20")
    assert more["origin"] == f"2026-10: breaks of openai: PRICE {price} accepted"
    world.close("2026-11")
    shell.json("break", "reopen", price, "--reason", "the list was withdrawn")
    assert totals(world, "2026-12") == {"D1": "-20", "D2": "-60"}
    world.close("2026-12")
    assert world.documents("2026-10") == kept
    assert {(month, about) for month, _, about, _ in entries(world)} >= {("2026-11", "2026-10"), ("2026-12", "2026-10")}
    assert world.laws(*LAWS) == []


def test_a_changed_amount_leaves_the_decision_and_opens_the_difference(shell: CommandShell, world: PeriodWorld) -> None:
    shell.json("break", "accept", "--month", "2026-10", "--reason", "all of it")
    put_run(world, [("PRICE", "30", "2026-10-03", "gpt-x"), ("PRICE", "53", "2026-10-04", "gpt-x")])
    bypass, price = listed(shell)
    if bypass["class"] == "PRICE":
        bypass, price = price, bypass
    assert (price["state"], price["decided_amount"], price["difference"]) == ("accepted", "80", "3")
    assert price["open"]
    assert (bypass["amount"], bypass["difference"], bypass["open"]) == ("0", "-2000", True)
    assert "does not find it any more" in bypass["why"]
    assert totals(world, "2026-10") == {"D1": "620", "D2": "1860"}
    assert check_of(shell) == ("block", "breaks are open: 2 with openai in KRW")
    _, out, _ = shell.run("break", "show", price["break"])
    assert "decided was 80; 3 is open again" in out
    shell.json("break", "accept", "--month", "2026-10", "--reason", "as it is now")
    assert totals(world, "2026-10") == {"D1": "121", "D2": "362"}
    assert listed(shell, "--state", "open", code=0) == []


def test_it_is_the_same_break_next_month(shell: CommandShell, world: PeriodWorld) -> None:
    shell.json("break", "accept", "--class", "PRICE", "--reason", "the list of September")
    put_run(world, [("PRICE", "41", "2026-11-09", "gpt-x")], month="2026-11")
    (found,) = shell.json("break", "list", "--month", "2026-11", code=6)["breaks"]
    assert found["state"] == "open"
    assert [(one["month"], one["state"], one["reason"]) for one in found["also"]] == [
        ("2026-10", "accepted", "the list of September")
    ]
    assert found["break"][8:] == name_of(shell, "PRICE", code=0)[8:]
    assert "also 2026-10: accepted because the list of September" in shell.run("break", "show", found["break"])[1]


def approvers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *names: str) -> None:
    """A file of persons; each one's token is their name twice."""
    lines = [f"{name} {hashlib.sha256((name * 20).encode()).hexdigest()}" for name in names]
    file = tmp_path / "approvers"
    file.write_text("# who may sign\n" + "\n".join(lines))
    file.chmod(0o600)
    monkeypatch.setenv("JANGBU_APPROVERS_FILE", str(file))


def test_a_large_writeoff_needs_a_second_person(
    shell: CommandShell, world: PeriodWorld, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bypass = name_of(shell, "BYPASS")
    code, _, err = shell.run("break", "writeoff", bypass, "--reason", "small")
    assert code == 5
    assert "more than 1000 KRW, which needs two persons" in err
    approvers(monkeypatch, tmp_path, "kim", "lee")
    monkeypatch.setenv("JANGBU_APPROVER_TOKEN", "kim" * 20)
    (done,) = shell.json("break", "writeoff", bypass, "--reason", "small")["breaks"]
    assert (done["action"], done["state"]) == ("propose", "open")
    assert totals(world, "2026-10") == {"D1": "100", "D2": "300"}
    code, _, err = shell.run("break", "confirm", bypass, "--reason", "me again")
    assert code == 5
    assert "token:kim proposed it, and token:kim is not for certain another person" in err
    assert shell.run("break", "accept", bypass, "--reason", "round it")[0] == 5
    monkeypatch.setenv("JANGBU_APPROVER_TOKEN", "lee" * 20)
    assert shell.json("break", "confirm", bypass, "--reason", "agreed")["breaks"][0]["state"] == "written_off"
    assert totals(world, "2026-10") == {"D1": "600", "D2": "1800"}
    history = shell.json("break", "show", bypass)["history"]
    assert [(one["action"], one["actor"]) for one in history] == [("propose", "token:kim"), ("confirm", "token:lee")]
    monkeypatch.setenv("JANGBU_APPROVER_TOKEN", "choi" * 20)
    code, _, err = shell.run("break", "reopen", bypass, "--reason", "who am I")
    assert (code, "is nobody's in" in err) == (3, True)


def test_many_small_writeoffs_are_no_way_round_the_limit(shell: CommandShell, world: PeriodWorld) -> None:
    put_run(world, [("PRICE", "600", "2026-10-03", "gpt-x"), ("QUANTITY", "600", "2026-10-03", "gpt-x")])
    assert shell.run("break", "writeoff", "--month", "2026-10", "--reason", "both")[0] == 5
    assert shell.run("break", "writeoff", "--class", "PRICE", "--reason", "one")[0] == 0
    code, _, err = shell.run("break", "writeoff", "--class", "QUANTITY", "--reason", "the other")
    assert (code, "two persons" in err) == (5, True)


def test_nothing_is_decided_in_passing(shell: CommandShell, world: PeriodWorld) -> None:
    assert shell.run("break", "accept", "--reason", "all")[0] == 2
    assert shell.run("break", "accept", "--month", "2026-10", "--reason", " ")[0] == 2
    assert shell.run("break", "accept", "2026-10-ffffffffff", "--reason", "x")[0] == 4
    assert shell.run("break", "accept", "the first", "--reason", "x")[0] == 2
    assert shell.run("break", "accept", name_of(shell, "PRICE"), "--month", "2026-10", "--reason", "x")[0] == 2
    assert shell.json("break", "accept", "--month", "2026-10", "--reason", "x", "--dry-run")["dry_run"] is True
    assert world.ask("select count(*) from break_decision") == [(0,)]
    price = name_of(shell, "PRICE")
    shell.json("break", "assign", price, "--to", "Kim", "--reason", "hers")
    shell.json("break", "comment", price, "--reason", "asked the vendor")
    assert shell.json("break", "list", "--owner", "Kim", code=6)["breaks"][0]["owner"] == "Kim"
    shell.json("break", "resolve", price, "--reason", "credit note 7")
    code, _, err = shell.run("break", "accept", price, "--reason", "x")
    assert code == 5
    assert "it is resolved; `reopen` it first (os:" in err
    assert "credit note 7" in err
    assert totals(world, "2026-10") == {"D1": "100", "D2": "300"}


@pytest.mark.parametrize("change", ["update break_decision set reason = 'x'", "delete from break_decision",
                                    "truncate break_decision"])  # fmt: skip
def test_the_database_refuses_to_change_a_decision(shell: CommandShell, world: PeriodWorld, change: str) -> None:
    shell.json("break", "accept", "--class", "PRICE", "--reason", "yes")
    for url in (world.urls.owner, world.urls.billing):
        with psycopg.connect(url) as connection, pytest.raises(psycopg.Error):
            connection.execute(change)


def test_the_database_refuses_a_second_person_who_is_the_first(shell: CommandShell, world: PeriodWorld) -> None:
    """Whoever writes past the command: the same person, or nobody for certain, and an amount that is not the parts'."""
    (item,) = listed(shell, "--class", "PRICE")
    with world.house.as_role("billing") as connection:
        decide(connection, Asked("writeoff", "x", "token:kim", wanted=Wanted(cls="PRICE")))
    with world.house.as_role("reader") as connection:
        (read,) = read_items(connection, Wanted(cls="PRICE"))
    insert = """insert into break_decision (vendor, month, currency, fingerprint, class, key, place, action, state,
                                            amount, parts, confirms, reason, actor)
                values (%s, %s, %s, %s, 'PRICE', '{}', 2, 'confirm', 'written_off', %s,
                        jsonb_build_array(jsonb_build_object('day', '2026-10-03', 'amount', '80')), %s, 'x', %s)"""
    for amount, actor, said in (("80", "web:kim", "second person"), ("80", "os:lee", "second person"),
                                ("81", "web:lee", "do not add up")):  # fmt: skip
        with psycopg.connect(world.urls.billing) as raw, pytest.raises(psycopg.Error, match=said):
            raw.execute(insert, (*read.at, amount, read.history[-1].id, actor))
    with psycopg.connect(world.urls.billing) as raw:
        raw.execute(insert, (*read.at, "80", read.history[-1].id, "web:lee"))
    assert item["amount"] == "80"


def test_of_two_who_decide_at_once_one_wins_and_the_other_is_told(shell: CommandShell, world: PeriodWorld) -> None:
    """The second begins while the first has not committed: it waits, and then sees what was decided."""
    wanted = Wanted(month="2026-10", cls="PRICE")
    outcome: list[list[Decided] | DecisionRefused] = []

    def second() -> None:
        try:
            with world.billing.begin() as connection:
                outcome.append(decide(connection, Asked("dispute", "no", "os:lee", names=(name,))))
        except DecisionRefused as refused:
            outcome.append(refused)

    from billing.breaks.identity import parse_name

    name = parse_name(name_of(shell, "PRICE"))
    with world.house.as_role("billing") as connection:
        decide(connection, Asked("accept", "yes", "os:kim", wanted=wanted))
        other = Thread(target=second)
        other.start()
        other.join(0.3)
        assert other.is_alive()
    other.join()
    (refused,) = outcome
    assert isinstance(refused, DecisionRefused)
    assert "it is accepted; `reopen` it first (os:kim" in str(refused)
    with world.house.as_role("billing") as connection, pytest.raises(DecisionRefused, match="somebody else decided"):
        decide(connection, Asked("accept", "x", "os:lee", wanted=Wanted(cls="BYPASS"), seen={("a", "b", "c", "d"): 0}))


def test_without_the_lock_the_place_still_refuses_the_second(shell: CommandShell, world: PeriodWorld) -> None:
    """Planted: the same place twice, as if no lock had been taken."""
    shell.json("break", "accept", "--class", "PRICE", "--reason", "yes")
    with psycopg.connect(world.urls.billing) as connection, pytest.raises(psycopg.Error, match="meanwhile"):
        connection.execute("""insert into break_decision (vendor, month, currency, fingerprint, class, key, place,
                                                          action, state, reason, actor)
                              select vendor, month, currency, fingerprint, class, key, place, 'reopen', 'open', 'x',
                                     'os:x' from break_decision""")


def test_what_is_disputed_goes_to_the_vendor_without_our_words(
    shell: CommandShell, world: PeriodWorld, tmp_path: Path
) -> None:
    """Of the disputed breaks only; our evidence, which may name users and keys, stays here."""
    put_run(world, FOUND, why="key sk-live-1234567890 of u-1001 in D1")
    out = tmp_path / "letters"
    words = ("break", "export", "--vendor", "openai", "--month", "2026-10", "--out", str(out), "--lang", "en")
    code, _, err = shell.run(*words)
    assert (code, "nothing that openai billed for 2026-10 is disputed" in err) == (4, True)
    shell.json("break", "dispute", "--class", "PRICE", "--reason", "Kim says no")
    made = shell.json(*words)
    assert sorted(file.name for file in out.iterdir()) == [
        "dispute-openai-2026-10.csv", "dispute-openai-2026-10.pdf", "dispute-openai-2026-10.xlsx",
    ]  # fmt: skip
    assert made["rows"] == 2
    csv = (out / "dispute-openai-2026-10.csv").read_text()
    assert [line.split(",")[-2] for line in csv.splitlines()[1:]] == ["30", "50"]
    assert not [secret for secret in ("sk-live", "u-1001", "D1", "Kim") if secret in csv]
    before = (out / "dispute-openai-2026-10.pdf").read_bytes()
    shell.json(*words)
    assert (out / "dispute-openai-2026-10.pdf").read_bytes() == before


def test_a_replay_of_the_decisions_gives_the_same_statements(
    shell: CommandShell, world: PeriodWorld, database: DatabaseUrls
) -> None:
    """Events, rules, decisions in their order and closes, in an empty database and without any reconciliation."""
    shell.json("break", "accept", "--class", "PRICE", "--reason", "yes")
    first = world.close("2026-10", "breaks", "reconciled")
    shell.json("break", "accept", "--class", "BYPASS", "--reason", "ours after all")
    world.close("2026-11", "reconciled")
    decisions = world.ask("""select vendor, month, currency, fingerprint, class, key::text, place, action, state,
                                    amount, parts::text, reason, actor from break_decision order by id""")
    migrate_database(database.owner)
    with period_world(database) as other:
        other.house.prices(PRICE.format(1, 1))
        for partition, events in world.sent:
            other.use(*events, partition=partition)
        for number, row in enumerate(decisions):
            with psycopg.connect(database.billing) as connection:
                connection.execute(
                    """insert into break_decision (vendor, month, currency, fingerprint, class, key, place, action,
                                                   state, amount, parts, reason, actor)
                       values (%s, %s, %s, %s, %s, %s::jsonb, %s, %s, %s, %s, %s::jsonb, %s, %s)""",
                    row,
                )
            other.close(("2026-10", "2026-11")[number], "reconciled", until=first.cut_offs)
        for month in ("2026-10", "2026-11"):
            assert other.organisation(month)["content_hash"] == world.organisation(month)["content_hash"]
            assert other.organisation(month)["total"] == {"2026-10": "480", "2026-11": "2000"}[month]
    assert world.laws(*LAWS) == []


def test_the_bridge_as_a_workbook_and_a_page(shell: CommandShell, world: PeriodWorld, tmp_path: Path) -> None:
    words = ("export", "bridge", "--vendor", "openai", "--month", "2026-10", "--lang", "en", "--out")
    for name, begin in (("bridge.xlsx", b"PK"), ("bridge.pdf", b"%PDF")):
        assert shell.json(*words, str(tmp_path / name))["currencies"] == ["KRW"]
        assert (tmp_path / name).read_bytes().startswith(begin)
    assert shell.run(*words, str(tmp_path / "bridge.png"))[0] == 2
    assert shell.run("export", "bridge", "--vendor", "nobody", "--month", "2026-10", "--out", "b.pdf")[0] == 4
