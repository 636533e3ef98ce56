"""Months with planted faults through PostgreSQL and the commands: what `make seed-faults` finds in memory, found there.

Also the commands around it: name rules, tolerances, a year by class.
"""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from billing.periods import day_start, month_in
from tests.integration.command_world import CommandShell, use_database
from tests.seeded.catalogue import SHAPES
from tests.seeded.months import PICO
from tests.seeded.scoring import Score, add_score, reconciled
from tests.seeded.seeding import seeded_month

if TYPE_CHECKING:
    from pathlib import Path

    from jangbu.services.postgres import DatabaseUrls
    from tests.seeded.months import At, SeededMonth

SEED = 5
NOON = 12
"""Hours after the beginning of a vendor's day: far from both of its edges."""
SAMPLE = {
    "openai costs API": "openai", "anthropic cost + usage report": "anthropic", "openrouter activity": "openrouter",
    "perplexity answers": "perplexity", "xai invoice": "x-ai", "naver product demand": "naver",
    "focus in won": "maker", "aws CUR 2.0": "aws", "azure cost details": "azure", "google billing export": "google",
}  # fmt: skip
"""Shapes with vendors of their own, and the provider that their use is of."""
REGISTER = "vendor,providers,zone,currency,settle_days,tolerance_amount,tolerance_share"
PRICES = "provider,model,unit,service_tier,region,prompt_above,currency,price,per,valid_from,valid_to,source"


@pytest.fixture
def shell(
    migrated_database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> CommandShell:
    """Commands on a database of this test."""
    use_database(migrated_database, monkeypatch, tmp_path)
    monkeypatch.setenv("JANGBU_DATA_DIR", str(tmp_path / "data"))
    return CommandShell(capsys)


def with_faults(shape_name: str, faults_min: int = 2) -> SeededMonth:
    """The first seeded month of a shape with several faults planted."""
    place = next(place for place, shape in enumerate(SHAPES) if shape.name == shape_name)
    months = (seeded_month(SEED, place + len(SHAPES) * turn) for turn in range(40))
    return next(month for month in months if len(month.kinds) >= faults_min or "FX" in month.kinds)


def by_hour(month: SeededMonth) -> Counter[tuple[At, int]]:
    """Our use by UTC hour: what is told of hours next to the month's edges in these, the rest at the vendor's noon."""
    zone = month.shape.zone
    whole = month_in(f"{month.first:%Y-%m}", zone)
    found: Counter[tuple[At, int]] = Counter()
    for at, tokens in month.ours.items():
        found[at, day_start(at.day, zone) + NOON] += tokens
    for one in month.beside:
        is_first = one.at.day == month.days[0]
        edge = whole.first_hour if is_first else whole.end_hour
        if not one.inside or one.at in month.ours:
            found[one.at, edge + one.hour if is_first == one.inside else edge - 1 - one.hour] += one.tokens
            found[one.at, day_start(one.at.day, zone) + NOON] -= one.tokens if one.inside else 0
    assert min(found.values()) >= 0
    return found


def put(connection: psycopg.Connection[Any], provider: str, month: SeededMonth) -> None:
    """Metered use, one part for each group."""
    connection.execute("""insert into topic_log (cluster_id, topic, topic_id) values ('c', 'usage.events', 't')
                          on conflict do nothing""")
    connection.execute("insert into payer (department, attributed_by) values ('D1', 'event') on conflict do nothing")
    for (at, hour), tokens in by_hour(month).items():
        connection.execute(
            """insert into route (source, provider, model, account, service_tier, status, usage_source)
               values ('gateway', %s, %s, %s, 'standard', 'success', 'provider') on conflict do nothing""",
            (provider, at.model, at.account or None),
        )
        connection.execute(
            f"""insert into usage_part (hour, route_id, payer_id, partition, log_id, events, {at.unit})
                select %s, r.id, (select min(id) from payer), 0, 1, 1, %s from route r
                where provider = %s and model = %s and account is not distinct from %s""",
            (hour, tokens, provider, at.model, at.account or None),
        )


def brought(shell: CommandShell, directory: Path, name: str, text: str, *words: str) -> None:
    """Write a file and import it."""
    (directory / name).write_text(text, encoding="utf-8")
    code, _, said = shell.run(*words, directory / name, "--yes")
    assert code == 0, said


def decimal(pico: int) -> str:
    """Picounits a token as the price of a million."""
    return f"{Decimal(pico) / PICO * 1_000_000:f}"


def stand(shell: CommandShell, directory: Path, months: dict[str, SeededMonth], database: DatabaseUrls) -> None:
    """Vendors, prices, rates and use of the months."""
    vendors, prices, rates = [REGISTER], [PRICES], ["date,base,quote,rate,source"]
    for name, month in months.items():
        shape, provider = month.shape, SAMPLE[name]
        vendors.append(f"{shape.vendor},{provider},{shape.zone},{shape.currency},0,,")
        currency = "USD" if month.rates or shape.currency == "USD" else "KRW"
        prices += [f"{provider},{model},{unit},,,,{currency},{decimal(price)},1000000,2026-01-01T00:00:00Z,,letter"
                   for (model, unit), price in month.prices.items()]  # fmt: skip
        rates += [f"{day},USD,KRW,{Decimal(rate) / 100:f},bank" for day, rate in month.rates.items()]
        with psycopg.connect(database.owner) as connection:
            put(connection, provider, month)
    brought(shell, directory, "vendors.csv", "\n".join(vendors) + "\n", "vendor", "import")
    brought(shell, directory, "prices.csv", "\n".join(prices) + "\n", "price", "import")
    if len(rates) > 1:
        brought(shell, directory, "fx.csv", "\n".join(rates) + "\n", "fx", "import")


def told(rows: Any) -> Counter[tuple[str, Decimal]]:
    """Classes and amounts."""
    return Counter((cls, Decimal(amount).quantize(Decimal("1e-9"))) for cls, amount in rows if cls != "ROUNDING")


def test_commands_find_what_was_planted(
    shell: CommandShell, migrated_database: DatabaseUrls, tmp_path: Path
) -> None:
    months = {name: with_faults(name) for name in SAMPLE}
    stand(shell, tmp_path, months, migrated_database)
    planted: Counter[str] = Counter()
    for name, month in months.items():
        files = month.shape.write(month)
        paths = []
        for file, text in files:
            path = tmp_path / f"{month.shape.vendor}-{file}"
            path.write_text(text, encoding="utf-8")
            paths.append(path)
        code, _, said = shell.run("invoice", "import", *paths, "--vendor", month.shape.vendor, "--yes")
        assert code == 0, said
        code, out, said = shell.run(
            "reconcile", "--vendor", month.shape.vendor, "--month", f"{month.first:%Y-%m}", "--json"
        )
        assert code == 6, said
        document = json.loads(out)
        assert document["proof"]["difference"] == "0", name
        in_memory = reconciled(month, files)
        score = Score()
        add_score(score, month, in_memory)
        assert score.missed == []
        assert told((one["class"], one["amount"]) for one in document["breaks"]) == told(
            (str(one.cls), one.amount) for one in in_memory.breaks
        ), name
        planted.update(month.kinds)
    assert len(planted) >= 8, planted
    year = shell.json("reconcile", "--vendor", "aws", "--year", "2026")
    assert [one["month"] for one in year["months"]] == [f"{months['aws CUR 2.0'].first:%Y-%m}"]
    assert year["months"][0]["classes"]
    assert shell.run("reconcile", "--vendor", "aws", "--year", "2025")[0] == 4
    assert shell.run("reconcile", "--vendor", "aws")[0] == 2
    assert shell.run("reconcile", "--vendor", "aws", "--year", "2026", "--csv")[1].startswith("month,currency,ours,")


def only_rows_of(month: SeededMonth, at: At) -> None:
    """Leave one group on both sides."""
    month.ours = {at: month.ours[at]}
    month.rows = [row for row in month.rows if row.at == at]


def test_a_name_rule_makes_a_vendors_name_ours_and_a_tolerance_asks_nobody(
    shell: CommandShell, migrated_database: DatabaseUrls, tmp_path: Path
) -> None:
    """The vendor calls a model otherwise: UNKNOWN_MODEL names the text, a rule settles it, a rest is tolerated."""
    month = seeded_month(SEED, next(n for n, shape in enumerate(SHAPES) if shape.name == "focus"))
    assert month.kinds == []
    at = next(iter(month.ours))
    only_rows_of(month, at)
    row = month.rows[0]
    month.put(row, at=at._replace(model="House-Brand XL"), tokens=row.tokens + 10, pico=row.pico + 10 * month.price(at))
    months = {"focus in won": month}
    stand(shell, tmp_path, months, migrated_database)
    ((name, text),) = month.shape.write(month)
    brought(shell, tmp_path, name, text, "invoice", "import", "--vendor", "reseller")
    words = ("reconcile", "--vendor", "reseller", "--month", f"{month.first:%Y-%m}")
    unknown = {one["class"]: one for one in shell.json(*words, code=6)["breaks"]}
    assert set(unknown) == {"UNKNOWN_MODEL", "NOT_BILLED"}
    assert "House-Brand XL" in unknown["UNKNOWN_MODEL"]["why"]
    rules = f"vendor,text,model,unit,valid_from,valid_to\nreseller,house-brand*,{at.model},,2026-01-01,\n"
    brought(shell, tmp_path, "map.csv", rules, "vendor", "map", "import")
    assert shell.json("vendor", "map", "list")["rules"][0]["text"] == "house-brand*"
    assert shell.json("vendor", "map", "import", tmp_path / "map.csv", "--dry-run")["unchanged"] == 1
    (one,) = shell.json(*words, code=6)["breaks"]
    assert (one["class"], one["tolerated"], one["level"]) == ("QUANTITY", False, 1)
    vendors = f"{REGISTER}\nreseller,maker,UTC,USD,0,5,0.01\n"
    brought(shell, tmp_path, "tolerant.csv", vendors, "vendor", "import")
    document = shell.json(*words)
    assert [(found["tolerated"], found["amount"]) for found in document["breaks"]] == [(True, one["amount"])]
    assert document["proof"]["breaks"] == one["amount"], "booked and counted all the same"
