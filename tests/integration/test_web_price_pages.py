"""Pages of the price book: models, rows in time, findings, rates, imports with their effect, what-if."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

import pytest

from billing.terms.file import read_terms
from billing.terms.store import add_terms
from tests.scenarios.house import House
from tests.web_world import Web, csrf_of, field, running_web, signed_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jangbu.services.postgres import DatabaseUrls

HOSTILE = "<script>alert(1)</script>/=x"
PRICES = """provider,model,unit,service_tier,region,prompt_above,currency,price,per,valid_from,valid_to,source
openai,gpt-x,input_tokens,,,,KRW,3,1,2026-10-15T00:00:00Z,,letter 2
openai,mystery,input_tokens,,,,KRW,5,1,2026-01-01T00:00:00Z,,letter 2
"""
RATES = "date,base,quote,rate,source\n2026-10-02,USD,KRW,1390.5,the bank\n"


@pytest.fixture(scope="module")
def running(module_database: DatabaseUrls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    house = House(module_database)
    house.prices("openai,gpt-x,input_tokens,,,,KRW,2,1,2026-01-01T00:00:00Z,,letter",
                 "openai,gpt-y,input_tokens,,,,KRW,1,1,2026-01-01T00:00:00Z,,letter",
                 "odd/100%25?#,deep/x,input_tokens,,,,KRW,4,1,2026-01-01T00:00:00Z,,letter",
                 "odd,100%25?#/deep/x,input_tokens,,,,KRW,5,1,2026-01-01T00:00:00Z,,letter")  # fmt: skip
    for day, model, tokens in (("2026-10-03", "gpt-x", 60), ("2026-10-20", "gpt-x", 10), ("2026-10-20", "mystery", 7),
                               ("2026-11-02", HOSTILE, 1)):  # fmt: skip
        house.use(f"{day}T10:00:00+09:00", "D001", model, {"input_tokens": tokens}, user="u-1")
    house.use("2026-11-02T10:00:00+09:00", "D001", "free", {"input_tokens": 1}, provider="zz/lost")
    house.close()
    with running_web(module_database, tmp_path_factory.mktemp("web")) as found:
        yield found


@pytest.fixture
def web(running: Web) -> Iterator[Web]:
    yield running
    running.close_clients()


def test_what_has_no_price_comes_first(web: Web) -> None:
    auditor = signed_in(web, "auditor")
    found = auditor.get("/api/v1/prices").json()
    assert [(one["model"], one["is_unpriced"]) for one in found["models"]][:2] == [(HOSTILE, True), ("mystery", True)]
    for path in ("/prices", "/prices/findings"):
        page = auditor.get(path)
        assert page.status_code == 200
        assert HOSTILE not in page.text
    link = auditor.get("/prices").text.split('href="/prices/models/openai/')[1].split('"')[0]
    shown = auditor.get(f"/prices/models/openai/{link}")
    assert (shown.status_code, "unpriced, not free" in shown.text) == (200, True)
    assert auditor.get("/prices/models/openai/none").status_code == 404
    assert auditor.get("/prices?words=gpt-y").text.count('<th scope="row">') == 1


def test_a_file_shows_its_effect_before_it_is_written(web: Web) -> None:
    finance = signed_in(web, "finance")
    csrf = {"csrf": csrf_of(finance)}
    shown = finance.post("/prices/import", data=csrf, files={"file": ("p.csv", PRICES)})
    assert "2026-10" in shown.text, "the month before the newest use is named"
    assert finance.get("/api/v1/prices/models/openai/gpt-x").json()["rows"][-1]["price"] == "2"
    carried = {name: field(shown.text, name) for name in ("carried", "name", "confirm")}
    assert finance.post("/prices/import", data={**csrf, **carried}).status_code == 303
    rows = finance.get("/api/v1/prices/models/openai/gpt-x").json()["lines"][0]["rows"]
    assert [(row["price"], row["source"], row["ends"]) for row in rows] == [
        ("2", "letter", "2026-10-15T00:00:00Z"), ("3", "letter 2", None),
    ]  # fmt: skip
    assert finance.get("/prices/models/openai/gpt-x").text.count("letter 2") == 1
    auditor = signed_in(web, "auditor")
    refused = auditor.post("/prices/import", data={"csrf": csrf_of(auditor)}, files={"file": ("p.csv", PRICES)})
    assert refused.status_code == 403


def test_a_wrong_file_is_refused_with_its_places(web: Web) -> None:
    finance = signed_in(web, "finance")
    wrong = PRICES.replace(",3,1,", ",three,1,")
    refused = finance.post("/prices/import", data={"csrf": csrf_of(finance)}, files={"file": ("p.csv", wrong)})
    assert refused.status_code == 400
    assert all(word in refused.text for word in ("line 2", "price", "three"))


def test_rates_are_shown_by_day(web: Web) -> None:
    finance = signed_in(web, "finance")
    csrf = {"csrf": csrf_of(finance)}
    shown = finance.post("/prices/rates/import", data=csrf, files={"file": ("fx.csv", RATES)})
    carried = {name: field(shown.text, name) for name in ("carried", "name", "confirm")}
    assert finance.post("/prices/rates/import", data={**csrf, **carried}).status_code == 303
    assert "1,390.5" in finance.get("/prices/rates").text
    assert finance.get("/prices/rates?format=csv").text.splitlines()[1] == "2026-10-02,USD,KRW,1390.5,the bank"


def test_what_if_is_the_commands_own(web: Web) -> None:
    auditor = signed_in(web, "auditor")
    asked = {"month": "2026-10", "model": "gpt-x", "instead": "gpt-y"}
    result = auditor.get("/api/v1/prices/what-if", params=asked).json()["result"]
    by_model = {one["model"]: (one["now"], one["then"]) for one in result["by_model"]}
    assert by_model["gpt-x"][1] == "70", "70 tokens at 1 won"
    assert auditor.get("/prices/what-if", params=asked).status_code == 200
    assert auditor.get("/prices/what-if", params={"month": "2026-10", "seat_price": "30000"}).status_code == 200
    assert auditor.get("/prices/what-if", params={**asked, "instead": "nothing"}).status_code == 404
    assert auditor.get("/prices/what-if", params={"month": "2026-10", "seat_price": "many"}).status_code == 400
    assert "department" in auditor.get("/prices/what-if", params={**asked, "format": "csv"}).text


def test_what_if_by_a_file_writes_nothing(web: Web) -> None:
    finance = signed_in(web, "finance")
    before = web.rows("select count(*) from price")
    row = "openai,gpt-x,input_tokens,,,,KRW,4,1,{}T00:00:00Z,,offer"
    supposed = "\n".join([PRICES.split("\n")[0], row.format("2026-01-01"), row.format("2026-10-15"), ""])
    form = {"csrf": csrf_of(finance), "month": "2026-10"}
    told = finance.post("/prices/what-if/file", data=form, files={"file": (f"{HOSTILE}.csv", supposed)})
    assert (told.status_code, HOSTILE in told.text) == (200, False)
    asked = finance.post("/api/v1/prices/what-if/file", data=form, files={"file": ("offer.csv", supposed)})
    assert asked.status_code == 200, asked.text
    result = asked.json()["result"]
    assert {one["model"]: one["then"] for one in result["by_model"]}["gpt-x"] == "280", "70 tokens at 4 won"
    assert web.rows("select count(*) from price") == before
    wrong = finance.post("/prices/what-if/file", data={**form, "month": "2026-13"}, files={"file": ("o.csv", supposed)})
    assert wrong.status_code == 400


def test_terms_of_the_contract_stand_with_the_model(web: Web) -> None:
    told = "name,kind,provider,model,percent,valid_from,source\nframework,discount,openai,gpt-x,12.5,{},annex 3\n"
    terms = read_terms(told.format("2026-01-01T00:00:00Z").encode(), "terms.csv", "Asia/Seoul")
    with web.engine.begin() as connection:
        add_terms(connection, terms, name="terms.csv", sha256="0" * 64, actor="os:test")
    auditor = signed_in(web, "auditor")
    (one,) = auditor.get("/api/v1/prices/models/openai/gpt-x").json()["terms"]
    assert (one["kind"], one["percent"], one["source"]) == ("discount", "12.5", "annex 3")
    assert "12.5 %" in auditor.get("/prices/models/openai/gpt-x").text
    assert auditor.get("/api/v1/prices/models/openai/gpt-y").json()["terms"] == []


def test_a_head_sees_no_prices(web: Web) -> None:
    head = signed_in(web, "head", departments=["D001"])
    for path in ("/prices", "/prices/findings", "/prices/rates", "/prices/what-if", "/api/v1/prices"):
        assert head.get(path).status_code == 403


def test_a_provider_and_a_model_with_signs_of_paths_have_a_page_of_their_own(web: Web) -> None:
    """`a/b` with `c` is not `a` with `b/c`; every link leads to its own, from page to page and to the files."""
    auditor = signed_in(web, "auditor")
    for words, provider, price in (("odd/", "odd/100%25?#", "4"), ("odd 1", "odd", "5")):
        (one,) = auditor.get("/api/v1/prices", params={"words": words}).json()["models"]
        assert one["provider"] == provider
        page = auditor.get("/prices", params={"words": words}).text
        (link,) = set(re.findall(r'href="(/prices/models/[^"]*)"', page))
        for address in (link, f"{link}?format=csv", f"/api/v1{link}"):
            answer = auditor.get(address)
            assert answer.status_code == 200, address
        shown = answer.json()
        assert (shown["provider"], shown["model"]) == (provider, one["model"])
        assert [row["price"] for row in shown["rows"]] == [price]
        (download,) = set(re.findall(r'href="([^"]*format=csv)"', auditor.get(link).text))
        assert auditor.get(html.unescape(download)).status_code == 200
    assert "/prices/models/zz%252Flost/" in auditor.get("/prices/findings").text


@pytest.mark.parametrize("path", ["a%2500", "a%00"])
def test_a_provider_that_no_database_keeps_is_refused(web: Web, path: str) -> None:
    assert signed_in(web, "auditor").get(f"/prices/models/{path}/gpt-x").status_code == 400
