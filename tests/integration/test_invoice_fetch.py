"""`jangbu invoice fetch` against local servers: what goes into the books, what does not, and what is said."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import zstandard
from sqlalchemy import text

from billing.invoices.fetching import month, transport
from tests.integration.command_world import CommandShell, house_on
from tests.integration.vendor_apis import (
    JSON,
    OCTOBER,
    PLANTED,
    Patience,
    Reply,
    Seen,
    VendorServer,
    anthropic_bucket,
    anthropic_cost,
    anthropic_page,
    anthropic_use,
    asked_days,
    openai_bucket,
    openai_cost,
    openai_page,
    serving,
    xai_invoice,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from jangbu.services.postgres import DatabaseUrls
    from tests.scenarios.house import House

REGISTER = """vendor,creditor,providers,accounts,zone,currency,tax_mode,tax_rate,fx_policy,settle_days
anthropic,Anthropic,anthropic,,UTC,USD,none,0,usage_day,30
x-ai,xAI,x-ai,,UTC,USD,none,0,usage_day,2
mistral,Mistral,mistral,,UTC,USD,none,0,usage_day,2
seoul-ai,Seoul AI,openai,,Asia/Seoul,KRW,none,0,usage_day,2
"""


class World:
    """Commands, an API that answers by `answer`, and a clock."""

    def __init__(self, shell: CommandShell, house: House, server: VendorServer, patience: Patience) -> None:
        self.shell, self.house, self.server, self.patience = shell, house, server, patience

    def fetch(self, *words: object, vendor: str = "openai", month: str = "2026-10", code: int = 0) -> Any:
        return self.shell.json("invoice", "fetch", "--vendor", vendor, "--month", month, "--yes", *words, code=code)

    def refused(self, *words: object, vendor: str = "openai", month: str = "2026-10", code: int = 2) -> str:
        before = self.imports()
        ended, out, err = self.shell.run("invoice", "fetch", "--vendor", vendor, "--month", month, "--yes", *words)
        assert ended == code, err
        assert out == ""
        assert self.imports() == before, "a fetch that fails changed something"
        assert PLANTED not in err
        return err

    def imports(self) -> list[Any]:
        found: list[Any] = self.shell.json("invoice", "list")["imports"]
        return found


@pytest.fixture
def house(migrated_database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[House]:
    yield from house_on(migrated_database, monkeypatch, tmp_path)


@pytest.fixture
def world(
    house: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[World]:
    patience, shell = Patience(), CommandShell(capsys)
    monkeypatch.setattr(transport, "Waiting", patience.waiting)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("JANGBU_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("JANGBU_XAI_TEAM", "team-1")
    (tmp_path / "vendors.csv").write_text(REGISTER)
    assert shell.run("vendor", "import", tmp_path / "vendors.csv", "--yes")[0] == 0
    with serving(openai_october) as server:
        for name in ("OPENAI", "ANTHROPIC", "OPENROUTER", "XAI", "MISTRAL"):
            monkeypatch.setenv(f"JANGBU_{name}_KEY", PLANTED)
            monkeypatch.setenv(f"JANGBU_{name}_URL", server.url)
        yield World(shell, house, server, patience)


def openai_october(seen: Seen, number: int) -> Reply:
    """The days asked for, a dollar and a half each, in pages of ten buckets. Usage: buckets without results."""
    days = asked_days(seen)
    start = int(seen.one("page") or 0)
    page = days[start : start + 10]
    cost = seen.path.endswith("/costs")
    buckets = [openai_bucket(day, [openai_cost("1.5")] if cost else []) for day in page]
    following = str(start + 10) if start + 10 < len(days) else None
    return Reply(json.dumps(openai_page(buckets, following), indent=1).encode())


def test_a_month_goes_into_the_books_as_if_brought(world: World) -> None:
    told = world.fetch()
    costs = next(one for one in told["imports"] if one["format"] == "openai.costs_api")
    assert costs["amounts"] == {"USD": "46.5"}
    assert (costs["first_day"], costs["last_day"]) == ("2026-10-01", "2026-10-31")
    assert (costs["days"], costs["lines"]) == (31, 31)
    assert told["provisional"] is False
    assert told["written"] is True
    assert next(one for one in told["files"] if one["surface"] == "costs")["pages"] == 4
    (stored, *_) = world.imports()
    assert stored["amounts"] == {"USD": "46.5"}
    assert stored["actor"].startswith("os:")


def test_openrouter_is_asked_day_by_day(world: World) -> None:
    """A date a request; a day without use is an empty answer; what the API no longer keeps is not asked for."""
    def answer(seen: Seen, _number: int) -> Reply:
        row = {"date": seen.one("date"), "model": "m", "model_permaslug": "maker/m-1", "endpoint_id": "e",
               "provider_name": "P", "usage": 1.5, "byok_usage_inference": 0, "requests": 2, "prompt_tokens": 10,
               "completion_tokens": 5, "reasoning_tokens": 0}  # fmt: skip
        return Reply.of({"data": [row] if str(seen.one("date")) > days[0] else []})

    world.server.answer = answer
    today = world.patience.now.date()
    month = f"{today - timedelta(days=2):%Y-%m}"
    days = [f"{today - timedelta(days=back):%Y-%m-%d}" for back in range(30, 0, -1)]
    days = [day for day in days if day.startswith(month)]
    told = world.fetch(vendor="openrouter", month=month)
    (made,) = told["imports"]
    assert made["format"] == "openrouter.activity_api"
    asked = [seen.one("date") for seen in world.server.seen]
    assert asked == days[: len(asked)]
    assert len(days) - len(asked) <= 1, "yesterday may still run in the vendor's books"
    assert made["amounts"] == {"USD": f"{(Decimal('1.5') * (len(asked) - 1)).normalize():f}"}


def test_the_bytes_that_came_are_the_bytes_that_are_kept(world: World) -> None:
    world.fetch()
    bodies = [openai_october(seen, 0).body for seen in world.server.seen if seen.path.endswith("/costs")]
    with world.house.as_role("reader") as connection:
        packed = connection.execute(
            text("""select zstd from invoice_content join invoice_import using (sha256)
                    where format = 'openai.costs_api'""")
        ).scalar_one()
    assert zstandard.decompress(packed) == b"[" + b",\n".join(bodies) + b"]"


def test_the_same_again_is_nothing_new(world: World) -> None:
    world.fetch()
    before = world.imports()
    again = world.fetch()
    assert again["imports"] == []
    assert {one["file"] for one in again["unchanged"]} >= {"openai-costs-2026-10.json"}
    assert world.imports() == before


def test_the_same_rows_under_other_cursors_are_nothing_new(world: World) -> None:
    world.fetch()

    def other_pages(seen: Seen, number: int) -> Reply:
        document = json.loads(openai_october(seen, number).body)
        return Reply.of(document)  # other blanks, same rows

    world.server.answer = other_pages
    again = world.fetch()
    assert again["imports"] == []


def test_a_revised_month_supersedes_visibly(world: World) -> None:
    world.fetch()

    def revised(seen: Seen, number: int) -> Reply:
        document = json.loads(openai_october(seen, number).body)
        for bucket in document["data"]:
            if bucket["start_time"] == 1790812800 and bucket["results"]:
                bucket["results"][0]["amount"]["value"] = 1.25
        return Reply.of(document)

    world.server.answer = revised
    told = world.fetch()
    (costs,) = told["imports"]
    assert costs["amounts"] == {"USD": "46.25"}
    (old,) = costs["supersedes"]
    assert old["before"] == {"USD": "46.5"}
    assert old["after"] == {"USD": "46.25"}
    assert [one["days_that_count"] for one in world.imports() if one["format"] == "openai.costs_api"] == [0, 31]


def test_a_dry_run_asks_and_writes_nothing(world: World) -> None:
    told = world.fetch("--dry-run")
    assert told["written"] is False
    assert told["imports"][0]["amounts"] == {"USD": "46.5"}
    assert world.server.seen
    assert world.imports() == []


def test_a_month_that_runs_is_provisional_and_grows(world: World) -> None:
    told = world.fetch(month="2026-11")
    assert (told["first_day"], told["last_day"], told["provisional"]) == ("2026-11-01", "2026-11-21", True)
    assert any("still runs" in note for note in told["notes"])
    world.patience.now = datetime(2026, 11, 23, 0, 0, tzinfo=UTC)
    later = next(one for one in world.fetch(month="2026-11")["imports"] if one["format"] == "openai.costs_api")
    assert later["last_day"] == "2026-11-22"
    assert later["supersedes"][0]["after"] == {"USD": "31.5"}
    assert Decimal(later["amounts"]["USD"]) == Decimal("33.0")


def test_a_month_without_any_use_is_covered(world: World) -> None:
    world.server.answer = lambda seen, _: Reply.of(openai_page([openai_bucket(day) for day in asked_days(seen)]))
    told = world.fetch()
    costs = next(one for one in told["imports"] if one["format"] == "openai.costs_api")
    assert (costs["lines"], costs["days"], costs["amounts"]) == (0, 31, {})


def openai_with_use(seen: Seen, number: int) -> Reply:
    """A thousand tokens a day, in both surfaces."""
    if seen.path.endswith("/costs"):
        return Reply.of(openai_page([openai_bucket(day, [openai_cost("1.5")]) for day in asked_days(seen)]))
    use = {
        "object": "organization.usage.completions.result", "input_tokens": 1000, "output_tokens": 0,
        "num_model_requests": 3, "project_id": "proj_1", "model": "gpt-5-mini", "batch": None, "service_tier": None,
    }  # fmt: skip
    return Reply.of(openai_page([openai_bucket(day, [use]) for day in asked_days(seen)]))


def test_openais_use_comes_beside_its_costs(world: World) -> None:
    world.server.answer = openai_with_use
    told = world.fetch()
    assert [(one["format"], one["days"], one["lines"]) for one in told["imports"]] == [
        ("openai.costs_api", 31, 31), ("openai.usage_api", 31, 31)
    ]  # fmt: skip
    assert world.server.seen[1].path == "/v1/organization/usage/completions"
    assert world.server.seen[1].all("group_by[]") == ["project_id", "model", "batch", "service_tier"]
    assert told["notes"] == []
    assert world.fetch()["imports"] == []


def test_mistrals_month_is_fetched(world: World) -> None:
    entry = {
        "usage_type": "usage", "event_type": "api_tokens", "billing_metric": "mistral-large-2512",
        "billing_display_name": "Mistral Large", "billing_group": "input", "timestamp": "2026-10-05", "value": 1000,
        "value_paid": 1000,
    }  # fmt: skip
    price = {"event_type": "api_tokens", "billing_metric": "mistral-large-2512", "billing_group": "input",
             "price": "0.0000018"}  # fmt: skip
    month = {
        "completion": {"models": {"mistral-large::m": {"input": [entry]}}}, "prices": [price], "currency": "EUR",
        "start_date": "2026-10-01T00:00:00Z", "end_date": "2026-10-31T23:59:59Z",
    }  # fmt: skip
    world.server.answer = lambda _, __: Reply.of(month)
    (one,) = world.fetch(vendor="mistral")["imports"]
    assert (one["format"], one["days"], one["amounts"]) == ("mistral.admin_usage", 31, {"EUR": "0.0018"})
    (seen,) = world.server.seen
    assert (seen.path, seen.query) == ("/api/admin/usage", (("month", "10"), ("year", "2026")))
    assert seen.headers["x-api-key"] == PLANTED


def anthropic(seen: Seen, number: int) -> Reply:
    row = [anthropic_cost("150.5")] if seen.path.endswith("/cost_report") else [anthropic_use(1000)]
    return Reply.of(anthropic_page([anthropic_bucket(day, row) for day in asked_days(seen)]))


def test_anthropics_costs_and_use_come_together(world: World) -> None:
    world.server.answer = anthropic
    told = world.fetch(vendor="anthropic")
    assert [one["format"] for one in told["imports"]] == ["anthropic.cost_report", "anthropic.usage_report"]
    assert told["imports"][0]["amounts"] == {"USD": "46.655"}
    assert [seen.headers["anthropic-version"] for seen in world.server.seen] == ["2023-06-01"] * 2
    assert {seen.headers["x-api-key"] for seen in world.server.seen} == {PLANTED}
    assert world.server.seen[0].all("group_by[]") == ["workspace_id", "description"]


def test_anthropics_empty_month_is_known_for_what_was_asked(world: World) -> None:
    world.server.answer = lambda seen, _: Reply.of(
        anthropic_page([anthropic_bucket(day) for day in asked_days(seen)])
    )
    told = world.fetch(vendor="anthropic")
    assert [(one["format"], one["days"]) for one in told["imports"]] == [("anthropic.cost_report", 31)]
    assert told["empty"] == ["anthropic-usage-2026-10.json"]
    assert world.fetch(vendor="anthropic")["imports"] == []


def test_xai_is_asked_for_its_invoice(world: World) -> None:
    world.server.answer = lambda _, __: Reply.of({"invoices": [xai_invoice(2026, 10, 1250)]})
    told = world.fetch(vendor="x-ai")
    assert told["imports"][0]["amounts"] == {"USD": "12.5"}
    assert world.server.seen[0].path == "/v1/billing/teams/team-1/invoices"
    world.server.answer = lambda _, __: Reply.of(xai_invoice(2026, 11, 300))
    running = world.fetch(vendor="x-ai", month="2026-11")
    assert running["provisional"] is True
    assert running["imports"][0]["amounts"] == {"USD": "3"}
    assert world.server.seen[1].path == "/v1/billing/teams/team-1/postpaid/invoice/preview"


def test_an_invoice_that_is_not_written_yet_is_no_empty_month(world: World) -> None:
    world.server.answer = lambda _, __: Reply.of({"invoices": []})
    assert "x-ai has no invoice for 2026-10 yet" in world.refused(vendor="x-ai", code=4)


def test_a_team_that_pays_in_advance_has_no_preview(world: World) -> None:
    world.server.answer = lambda _, __: Reply(status=404)
    assert "only postpaid teams have a preview" in world.refused(vendor="x-ai", month="2026-11", code=4)
    assert "it answers with status 404" in world.refused(vendor="x-ai")


def test_pages_that_are_too_much_together_are_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(month, "FILE_BYTES_MAX", 5000)
    assert "more than the 5000 bytes that an invoice may have" in world.refused()
    assert len(world.server.seen) < 4


def test_another_months_invoice_is_refused(world: World) -> None:
    world.server.answer = lambda _, __: Reply.of({"invoices": [xai_invoice(2026, 9, 1250)]})
    assert "it lies outside 2026-10" in world.refused(vendor="x-ai")


# ----------------------------------------------------------------------------------------------------------- what fails


def failing_late(reply: Reply) -> Callable[[Seen, int], Reply]:
    """Good for three pages, then this."""
    return lambda seen, number: openai_october(seen, number) if number < 3 else reply


WITHOUT_AMOUNT = {**openai_cost(1), "amount": None}


@pytest.mark.parametrize(
    ("reply", "code", "said"),
    [
        (Reply(status=500), 3, "it answers with status 500, after 6 tries"),
        (Reply(b'{"data": [', kind=JSON), 2, "are not readable JSON"),
        (Reply(b'{"object":"page","data":[],"has_more":false,"next_page":null}', cut_after=5), 3, "breaks off"),
        (Reply(b"hello", kind="text/plain"), 2, "content-type is 'text/plain'"),
        (Reply(status=401), 3, "refuses the key of JANGBU_OPENAI_KEY"),
        (Reply(status=403), 3, "refuses the key of JANGBU_OPENAI_KEY"),
        (Reply.of(openai_page([openai_bucket(OCTOBER[0], [openai_cost(1)])])), 2, "speaks about 2026-10-01 again"),
        (Reply.of(openai_page([openai_bucket(OCTOBER[30], [WITHOUT_AMOUNT])])), 2, "amount"),
        (Reply.of({"object": "page", "data": [], "has_more": True, "next_page": "10"}), 2, "turn in a circle"),
    ],
)
def test_what_fails_midway_changes_nothing(world: World, reply: Reply, code: int, said: str) -> None:
    world.server.answer = failing_late(reply)
    assert said in world.refused(code=code)


def test_pages_without_an_end_change_nothing(world: World) -> None:
    world.server.answer = lambda _, number: Reply.of(openai_page([], f"page-{number}"))
    assert "the pages do not end" in world.refused()
    assert len(world.server.seen) == 200


def test_waits_are_taken_and_told(world: World) -> None:
    busy = Reply(status=429, headers=(("retry-after", "9"),))
    world.server.answer = lambda seen, number: busy if number == 0 else openai_october(seen, number)
    assert world.fetch()["retries"] == 1
    assert world.patience.waits_s == [9]


def test_a_vendor_whose_answers_nothing_reads_is_refused_before_it_is_asked(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from billing.invoices import recognise

    monkeypatch.setattr(recognise, "IMPORTERS", ())
    assert "no importer reads mistral.admin_usage yet" in world.refused(vendor="mistral")
    assert world.server.seen == []


@pytest.mark.parametrize(
    ("vendor", "month", "code", "said"),
    [
        ("azure", "2026-10", 2, "no API to fetch vendor 'azure' from; known are openai, anthropic"),
        ("seoul-ai", "2026-10", 2, "no API to fetch vendor 'seoul-ai'"),
        ("openai", "2026-13", 2, "write it as YYYY-MM"),
        ("openai", "2026-12", 4, "has not begun"),
        ("openrouter", "2026-03", 4, "nothing of openrouter 2026-03 can be fetched"),
    ],
)
def test_what_cannot_be_asked_is_said(world: World, vendor: str, month: str, code: int, said: str) -> None:
    assert said in world.refused(vendor=vendor, month=month, code=code)
    assert world.server.seen == []


# ------------------------------------------------------------------------------------------------------------- settings


def test_without_a_key_the_setting_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JANGBU_OPENAI_KEY")
    said = world.refused(code=3)
    assert "set JANGBU_OPENAI_KEY, or JANGBU_OPENAI_KEY_FILE" in said


def test_a_key_may_stand_in_a_file_that_nobody_else_reads(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "openai.key"
    file.write_text(PLANTED + "\n")
    monkeypatch.setenv("JANGBU_OPENAI_KEY_FILE", str(file))
    assert "both set" in world.refused(code=3)
    monkeypatch.delenv("JANGBU_OPENAI_KEY")
    for mode in (0o640, 0o604, 0o666):
        file.chmod(mode)
        assert f"others may read (mode {mode:04o})" in world.refused(code=3)
    file.chmod(0o600)
    world.fetch()
    assert world.server.seen[0].headers["authorization"] == f"Bearer {PLANTED}"
    file.write_bytes(PLANTED.encode() + b"\xff")
    assert "more than ASCII" in world.refused(code=3)
    file.write_text(f"{PLANTED} {PLANTED}")
    assert "is not a usable secret" in world.refused(code=3)
    file.unlink()
    assert "cannot be read" in world.refused(code=3)


def test_a_key_in_the_settings_file_is_refused(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("JANGBU_OPENAI_KEY")
    (tmp_path / "jangbu.toml").write_text(f'[openai]\nkey = "{PLANTED}"\n')
    assert "openai_key stands in jangbu.toml, which is no place for a key" in world.refused(code=3)


@pytest.mark.parametrize(
    "url", ["http://example.com", "https://:secret@example.com", "ftp://127.0.0.1", "https://host/?a=b"]
)
def test_an_address_that_would_give_the_key_away_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("JANGBU_OPENAI_URL", url)
    ended, _, err = world.shell.run("invoice", "fetch", "--vendor", "openai", "--month", "2026-10")
    assert ended == 3
    assert "openai_url" in err
    assert "secret" not in err


def test_a_team_is_needed_where_the_api_asks_by_team(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JANGBU_XAI_TEAM")
    assert "set JANGBU_XAI_TEAM" in world.refused(vendor="x-ai", code=3)


def test_the_key_is_shown_nowhere(world: World, house: House) -> None:
    code, out, err = world.shell.run("invoice", "fetch", "--vendor", "openai", "--month", "2026-10", "--yes")
    assert code == 0
    _, shown, warned = world.shell.run("doctor")
    assert "openai_key" in shown
    with house.as_role("reader") as connection:
        stored = connection.execute(text("select i::text from invoice_import i")).all()
    assert PLANTED not in out + err + shown + warned + str(stored)
