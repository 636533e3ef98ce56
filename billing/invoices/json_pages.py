"""Pages of JSON as people save them: one page, a list of pages, or a page a line. Numbers stay decimals of the text."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from billing.invoices.errors import InvoiceRefused
from billing.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from billing.invoices.source import SourceFile

Json = dict[str, object]


def pages_of(source: SourceFile) -> Iterator[tuple[str, Json]]:
    """Each page with the place to name in a sentence. Raises InvoiceRefused where the text is no JSON of that shape."""
    text = source.text
    whole = _whole_document(source, text)
    if isinstance(whole, list):
        for index, page in enumerate(whole):
            yield f"[{index}]", _object(source, f"[{index}]", page)
    elif whole is not None:
        yield "", _object(source, "the document", whole)
    else:
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                yield f"line {number}: ", _object(source, f"line {number}", _decode(source, line, number))


def object_lines(source: SourceFile) -> Iterator[tuple[str, Json]]:
    """Each object of JSON lines with its place, read as it is asked for; or those of one list, read as a whole.

    Raises InvoiceRefused for any other line.
    """
    if source.beginning.lstrip()[:1] == "[":
        yield from pages_of(source)
        return
    for number, line in enumerate(source.lines(), 1):
        if line.strip():
            yield f"line {number}", _object(source, f"line {number}", _decode(source, line, number))


def looks_like_json(source: SourceFile) -> bool:
    """Whether the content begins as JSON does."""
    return not source.is_parquet and source.beginning.lstrip()[:1] in {"{", "["}


def _whole_document(source: SourceFile, text: str) -> object:
    """The text as one document; None where it is several, a line each."""
    try:
        return _loads(text)
    except json.JSONDecodeError as error:
        first, _, rest = text.strip().partition("\n")
        if error.msg == "Extra data" and rest.strip() and first.rstrip().endswith("}"):
            return None
        raise _refused(source, error, 0) from None
    except (ValueError, RecursionError) as error:
        raise InvoiceRefused(
            Sentence(
                "%(file)s is not readable JSON (%(error)s); nothing of this import was stored",
                file=source.name,
                error=error,
            )
        ) from None


def _decode(source: SourceFile, line: str, number: int) -> object:
    try:
        return _loads(line)
    except json.JSONDecodeError as error:
        raise _refused(source, error, number - 1) from None
    except (ValueError, RecursionError) as error:
        raise InvoiceRefused(
            Sentence(
                "%(file)s, line %(number)s, is not readable JSON (%(error)s); nothing of this import was stored",
                file=source.name,
                number=number,
                error=error,
            )
        ) from None


def _loads(text: str) -> object:
    return json.loads(text, parse_float=_decimal, parse_constant=_no_constant, object_pairs_hook=_no_twins)


def _refused(source: SourceFile, error: json.JSONDecodeError, lines_before: int) -> InvoiceRefused:
    return InvoiceRefused(
        Sentence(
            "%(file)s, line %(line)s, column %(column)s: %(wrong)s; the file is not JSON, or "
            "it is cut: export it again; nothing of this import was stored",
            file=source.name,
            line=lines_before + error.lineno,
            column=error.colno,
            wrong=error.msg,
        )
    )


def _object(source: SourceFile, place: str, page: object) -> Json:
    if not isinstance(page, dict):
        raise InvoiceRefused.at(source.name, place, "page", page, "a page of the API is an object with `data`")
    return page


def _decimal(written: str) -> Decimal:
    """The decimal of the text; an exponent beyond any decimal's raises ValueError, as other bad JSON does."""
    try:
        return Decimal(written)
    except InvalidOperation:
        raise ValueError(f"{written[:40]} is not a number that a bill can hold") from None


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not a number that a bill can hold")


def _no_twins(pairs: list[tuple[str, object]]) -> Json:
    """A key written twice would hide an amount: refused."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twin = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twin!r} stands twice in one object")
    return found
