"""A month's statements as files: one for each department and one for the organisation, by name. Pure.

The forms: `pdf`, `xlsx` and `csv` for people, `json` as `statement show --json` has it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from billing.outputs.csv_lines import csv_file
from billing.outputs.file_names import ORGANISATION, file_stems
from billing.outputs.page import Beside
from billing.outputs.pdf import recipe_for, statement_pdf
from billing.outputs.xlsx import Book, workbook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from billing.outputs.texts import Language

Kind = Literal["department", "organisation"]
Form = Literal["pdf", "xlsx", "csv", "json"]
FORMS: tuple[Form, ...] = ("pdf", "xlsx", "csv", "json")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for beside the documents. `beside` is by department's code; None is the unattributed account."""

    language: Language
    organisation: str = ""
    beside: Mapping[str | None, Beside] = field(default_factory=dict)
    beside_whole: Beside = field(default_factory=Beside)


@dataclass(frozen=True, slots=True)
class MadeFile:
    """One file. `department` is the code; `kind` tells the unattributed account from the organisation."""

    name: str
    kind: Kind
    department: str | None
    content_hash: str
    content: bytes


def month_files(
    documents: Sequence[Mapping[str, Any]],
    whole: Mapping[str, Any],
    forms: Sequence[Form],
    wanted: Wanted,
    is_wanted: Callable[[Kind, str | None], bool] = lambda _kind, _code: True,
) -> Iterator[MadeFile]:
    """Every department's file in every form, then the organisation's; only those that are wanted, by kind and code."""
    stems = file_stems(whole["month"], [document["department"] for document in documents])
    for form in forms:
        for document in documents:
            code = document["department"]
            if is_wanted("department", code):
                content = department_file(document, form, wanted)
                yield MadeFile(f"{stems[code]}.{form}", "department", code, document["content_hash"], content)
        if is_wanted("organisation", None):
            content = organisation_file(documents, whole, form, wanted)
            name = f"{whole['month']}-{ORGANISATION}.{form}"
            yield MadeFile(name, "organisation", None, whole["content_hash"], content)


def department_file(document: Mapping[str, Any], form: Form, wanted: Wanted) -> bytes:
    """One department's file."""
    beside = wanted.beside.get(document["department"], Beside())
    if form == "pdf":
        return statement_pdf(document, recipe_for(document, wanted.language, wanted.organisation, beside))
    if form == "xlsx":
        return workbook(Book("department", document, [document], wanted.language, wanted.organisation, beside))
    return csv_file([document]) if form == "csv" else _json(document)


def organisation_file(
    documents: Sequence[Mapping[str, Any]], whole: Mapping[str, Any], form: Form, wanted: Wanted
) -> bytes:
    """The organisation's file: the summary as PDF and JSON, every line of every department as XLSX and CSV."""
    beside = wanted.beside_whole
    if form == "pdf":
        recipe = recipe_for(whole, wanted.language, wanted.organisation, beside, kind="organisation")
        return statement_pdf(whole, recipe, documents)
    if form == "xlsx":
        return workbook(Book("organisation", whole, documents, wanted.language, wanted.organisation, beside))
    return csv_file(documents, whole) if form == "csv" else _json(whole)


def _json(document: Mapping[str, Any]) -> bytes:
    return (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode()
