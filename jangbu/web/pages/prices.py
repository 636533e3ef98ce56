"""Prices: the dated book by model, each unit's time line with its sources, imports with their effect, findings, rates,
and what months would have cost by other prices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text

from billing.money import parse_amount, plain
from billing.periods import hour_start
from billing.price_documents import fx_document, price_documents
from billing.prices import FOREVER
from billing.sentences import Sentence, said_by
from billing.store import read_fx_rows, read_price_rows
from billing.terms.store import read_terms_stored
from billing.terms.term import terms_in_force
from billing.whatif.months import Supposed, what_if
from billing.whatif.scenario import UnknownModel
from jangbu.book_imports import check_book, import_prices, import_rates
from jangbu.errors import NotFoundError, UsageError
from jangbu.web.file_import import import_action
from jangbu.web.paging import PAGE, page_of
from jangbu.web.paths import name_of
from jangbu.web.rights import FINANCE, ORGANISATION
from jangbu.web.views import Action, Ask, Document, Done, Field, Form, Parameter, Registered, Table, View

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from billing.price_check import Finding
    from billing.prices import PriceRow
    from jangbu.importing import Outcome

ROW_COLUMNS: Final = ("price_id", "origin", "provider", "model", "unit", "service_tier", "region", "prompt_above",
                      "currency", "price", "per", "valid_from", "ends", "source")  # fmt: skip
FX_COLUMNS: Final = ("date", "base", "quote", "rate", "source")
FINDING_COLUMNS: Final = ("kind", "provider", "model", "unit", "detail")
WHATIF_COLUMNS: Final = ("by", "name", "now", "then", "difference", "unknown_quantity_now", "unknown_quantity_then")


def read_prices(ask: Ask) -> Document:
    """Models of the book with how many rows they have in force, by search; those whose use has no price first."""
    words = (ask.one("words") or "").lower()
    models, counts = ask.kept("models of the book", _models_of_the_book)
    found = [one for one in models if words in f"{one['provider']} {one['model']}".lower()]
    return {"words": ask.one("words"), "models": found, "shown": page_of(ask, found), "findings": counts}


def _models_of_the_book(ask: Ask) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """(all models, findings by kind)."""
    unpriced, odd = _findings(ask)
    lacking = {(one.provider, one.model) for one in unpriced}
    models: dict[tuple[str, str], dict[str, Any]] = {}
    for key in lacking:
        models[key] = {"provider": key[0], "model": key[1], "units": set(), "origins": set(), "rows": 0}
    for row in price_documents(read_price_rows(ask.connection)):
        key = (row["provider"], row["model"])
        one = models.setdefault(
            key, {"provider": key[0], "model": key[1], "units": set(), "origins": set(), "rows": 0}
        )
        one["units"].add(row["unit"])
        one["origins"].add(row["origin"])
        one["rows"] += 1
    found = [
        {**one, "units": sorted(one["units"]), "origins": sorted(one["origins"]), "is_unpriced": key in lacking}
        for key, one in sorted(models.items(), key=lambda item: (item[0] not in lacking, item[0]))
    ]
    counts: dict[str, int] = {}
    for finding in (*unpriced, *odd):
        counts[finding.kind] = counts.get(finding.kind, 0) + 1
    return found, counts


def _findings(ask: Ask) -> tuple[list[Finding], list[Finding]]:
    """(use without a price, what is odd in the book): all use is rated for it."""
    return ask.kept("findings of the book", lambda one: check_book(one.connection))


def read_model(ask: Ask) -> Document:
    """Every row of one model of the book, with where it really ends: unit by unit, in time."""
    provider, model = name_of(ask.path["provider"]), ask.path["model"]
    of_model = ask.of_inputs("price rows", lambda: _rows_by_model(ask)).get((provider.lower(), model.lower()), [])
    rows = price_documents(of_model, with_replaced=True)
    if not rows and not any(name == model for _, name in _used(ask, provider)):
        raise NotFoundError(
            Sentence(
                "the book has no model %(model)s of %(provider)s, and nobody used one: search the list",
                model=repr(model), provider=repr(provider),
            )
        )
    lines: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        line = tuple(row[name] for name in ("unit", "service_tier", "region", "prompt_above", "origin"))
        lines.setdefault(line, []).append(row)
    return {
        "provider": provider,
        "model": model,
        "lines": [
            {**dict(zip(("unit", "service_tier", "region", "prompt_above", "origin"), line, strict=True)),
             "rows": sorted(held, key=lambda row: row["valid_from"])}
            for line, held in sorted(lines.items(), key=lambda item: [str(part) for part in item[0]])
        ],
        "rows": rows,
        "terms": _terms(ask, provider, model, of_model),
    }  # fmt: skip


def _rows_by_model(ask: Ask) -> dict[tuple[str, str], list[PriceRow]]:
    """All rows of the book; names fold case, as the book does."""
    found: dict[tuple[str, str], list[PriceRow]] = {}
    for row in read_price_rows(ask.connection):
        found.setdefault((row.key.provider.lower(), row.key.model.lower()), []).append(row)
    return found


def _used(ask: Ask, provider: str) -> list[tuple[str, str]]:
    """(provider, model) of a provider's use, ever."""
    rows = ask.connection.execute(
        text("select distinct provider, model from route where lower(provider) = lower(:provider)"),
        {"provider": provider},
    )
    return [(row.provider, row.model) for row in rows]


def read_findings(ask: Ask) -> Document:
    """As `price check --json`: use without a price first, then what is odd in the book."""
    unpriced, odd = _findings(ask)
    found = [one._asdict() for one in (*unpriced, *odd)]
    return {"findings": found, "shown": page_of(ask, found), "unpriced": len(unpriced)}


def read_rates(ask: Ask) -> Document:
    """The rates that count, the newest first."""
    base = ask.one("base")
    counting = {(row.date, row.base, row.quote): row for row in read_fx_rows(ask.connection)}
    found = [fx_document(counting[key]) for key in sorted(counting, reverse=True) if base in (None, key[1])]
    bases = sorted({key[1] for key in counting})
    return {"rates": found, "shown": page_of(ask, found), "bases": bases, "base": base}


def read_what_if(ask: Ask) -> Document:
    """What months would have cost with a model's tokens at another's prices, or with seats. Nothing is written."""
    instead, seat_price = [one for one in ask.many("swap") if one], ask.one("seat_price")
    month = ask.month()
    if not instead and ask.one("model") and ask.one("instead"):
        instead = [f"{ask.one('model')}={ask.one('instead')}"]
    base = {"month": month, "swaps": instead, "seat_price": seat_price, "result": None, "model": ask.one("model"),
            "instead": ask.one("instead"), "models": _models(ask.connection), "file": None}  # fmt: skip
    if not instead and seat_price is None:
        return base
    if instead and seat_price is not None:
        raise UsageError(Sentence("a seat price stands alone: seats are paid instead of use, whatever its prices"))
    try:
        price = None if seat_price is None else parse_amount(seat_price)
    except ValueError as error:
        sentence = Sentence("the seat price is %(price)s: %(error)s", price=repr(seat_price), error=said_by(error))
        raise UsageError(sentence) from error
    try:
        result = what_if(ask.connection, [month], ask.books.policy, Supposed((), tuple(instead), price))
    except UnknownModel as error:
        raise NotFoundError(str(error)) from error
    return {**base, "result": result}


def what_if_by_file(ask: Ask, form: Form) -> Done:
    """What a month would have cost by a file of prices, laid over the book as agreed ones. Nothing is written."""
    name, raw = form.file("file")
    month = form.text("month")
    with ask.books.snapshot() as connection:
        result = what_if(connection, [month], ask.books.policy, Supposed(((name, raw),), (), None))
        models = _models(connection)
    document = {"month": month, "swaps": [], "seat_price": None, "result": result, "model": None, "instead": None,
                "models": models, "file": name}  # fmt: skip
    return Done("/prices/what-if", "", document, template="price_what_if.html")


def _models(connection: Connection) -> list[str]:
    return list(connection.execute(text("select distinct model from route order by 1 limit 500")).scalars())


def _terms(ask: Ask, provider: str, model: str, rows: Sequence[PriceRow]) -> list[dict[str, Any]]:
    """The contract's terms in force that are about some row of a model, as `price terms list` names them."""
    found = []
    for one in terms_in_force(read_terms_stored(ask.connection)):
        term = one.term
        if all(term.rank(provider, model, row.key.unit, row) is None for row in rows):
            continue
        found.append({
            "term_id": term.code, "name": term.name, "kind": term.kind, "unit": term.unit,
            "percent": None if term.percent is None else plain(term.percent),
            "tiers": [{"above": str(tier.above), "percent": None if tier.percent is None else plain(tier.percent),
                       "price": None if tier.price is None else plain(tier.price),
                       "per": None if tier.per is None else str(tier.per)} for tier in term.tiers],
            "currency": term.currency, "valid_from": hour_start(term.from_hour),
            "ends": None if one.end_hour == FOREVER else hour_start(one.end_hour), "source": term.source,
        })  # fmt: skip
    return found


def _prices_table(_ask: Ask, document: Document) -> Table:
    rows = [[one[name] for name in ROW_COLUMNS] for one in document["rows"]]
    return Table("prices", ROW_COLUMNS, rows, ("prompt_above", "price", "per"))


def _findings_table(_ask: Ask, document: Document) -> Table:
    rows = [[one[name] for name in FINDING_COLUMNS] for one in document["findings"]]
    return Table("price-findings", FINDING_COLUMNS, rows)


def _rates_table(_ask: Ask, document: Document) -> Table:
    return Table("rates", FX_COLUMNS, [[one[name] for name in FX_COLUMNS] for one in document["rates"]], ("rate",))


def _what_if_table(_ask: Ask, document: Document) -> Table:
    rows: list[list[Any]] = []
    result = document["result"] or {"by_department": [], "by_model": [], "total": None}
    for by, names in (("by_department", ("department",)), ("by_model", ("provider", "model"))):
        for one in result[by]:
            label = "/".join(str(one[name] or "") for name in names)
            rows.append([by[3:], label, *(one[name] for name in WHATIF_COLUMNS[2:])])
    if result["total"] is not None:
        rows.append(["total", "", *(result["total"][name] for name in WHATIF_COLUMNS[2:])])
    return Table("what-if", WHATIF_COLUMNS, rows, WHATIF_COLUMNS[2:])


def _import(ask: Ask, connection: Connection, raw: bytes, name: str) -> Outcome[dict[str, Any]]:
    return import_prices(connection, raw, name, ask.identity, ask.books.policy.zone)


def _import_rates(ask: Ask, connection: Connection, raw: bytes, name: str) -> Outcome[dict[str, Any]]:
    return import_rates(connection, raw, name, ask.identity)


REGISTERED: Final[tuple[Registered, ...]] = (
    View(path="/prices", title="Prices", rule=ORGANISATION, read=read_prices, template="prices.html",
         about="Models of the price book; those whose use has no price first.",
         parameters=(Parameter("words", "in the provider's or the model's name"), PAGE)),
    View(path="/prices/models/{provider}/{model:path}", title="Prices of a model", rule=ORGANISATION, read=read_model,
         template="price_model.html", table=_prices_table, about="Every row of a model, unit by unit, in time. "
         "A provider whose name has a slash or a percent sign is percent-encoded twice."),
    View(path="/prices/findings", title="Findings", rule=ORGANISATION, read=read_findings,
         template="price_findings.html", table=_findings_table, parameters=(PAGE,),
         about="Use without a price, gaps, rows cut short, prices far from the list."),
    View(path="/prices/rates", title="Rates of exchange", rule=ORGANISATION, read=read_rates,
         template="price_rates.html", table=_rates_table, about="Rates by day, with their sources.",
         parameters=(Parameter("base", "one currency's"), PAGE)),
    View(path="/prices/what-if", title="What if", rule=ORGANISATION, read=read_what_if,
         template="price_what_if.html", table=_what_if_table,
         about="What a month would have cost with another model's prices, or with seats. Nothing is written.",
         parameters=(Parameter("month", "YYYY-MM", example="2026-10"), Parameter("model", "a model"),
                     Parameter("instead", "whose prices its tokens would have had"),
                     Parameter("swap", "A=B, several times", many=True),
                     Parameter("seat_price", "a seat a month instead of use, in the statements' currency"))),
    Action(path="/prices/what-if/file", title="What if by a file", rule=FINANCE, do=what_if_by_file,
           about="What a month would have cost by a file of prices. Nothing is written.",
           fields=(Field("file", "prices as `price import` takes them", "file"), Field("month", "YYYY-MM"))),
    import_action("/prices/import", "Import prices", FINANCE, "/prices", _import,
                  "A CSV file of agreed prices; it is shown with its effect before it is written."),
    import_action("/prices/rates/import", "Import rates", FINANCE, "/prices/rates", _import_rates,
                  "A CSV file of rates of exchange; it is shown before it is written."),
)  # fmt: skip
