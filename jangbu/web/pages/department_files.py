"""A department's statement as a file: PDF for people in Korean or English, XLSX and CSV for their own sums."""

from __future__ import annotations

from typing import Any, Final, cast

from billing.outputs.besides import read_besides
from billing.outputs.month_files import Form, Wanted, month_files
from billing.outputs.texts import Language
from billing.sentences import Sentence
from billing.statement_document import read_month
from jangbu.errors import NotFoundError
from jangbu.web.open_months import keeper_of
from jangbu.web.pages.department import MONTH
from jangbu.web.rights import DEPARTMENT
from jangbu.web.statements import code_of
from jangbu.web.views import Ask, Download, File, Parameter, Registered

MEDIA: Final = {"pdf": "application/pdf", "csv": "text/csv; charset=utf-8", "json": "application/json",
                "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}  # fmt: skip
LANGUAGES: Final = ("ko", "en")


def wanted_of(ask: Ask, month: str, documents: list[dict[str, Any]]) -> Wanted:
    """Language, organisation, and what stands beside the statements."""
    language = ask.one("lang")
    spoken = cast("Language", language if language in LANGUAGES else ask.wording.language)
    beside, whole = read_besides(ask.connection, month, ask.books.policy, documents)
    return Wanted(spoken if spoken in LANGUAGES else "en", ask.books.settings.organisation or "", beside, whole)


def _maker(form: Form) -> Any:
    def make(ask: Ask) -> File:
        month, code = ask.month(), code_of(ask)
        whole, documents = read_month(ask.connection, month, ask.books.policy, keeper_of(ask.books))
        wanted = wanted_of(ask, month, documents)
        files = month_files(documents, whole, [form], wanted, lambda kind, one: kind == "department" and one == code)
        made = next(iter(files), None)
        if made is None:
            raise NotFoundError(
                Sentence(
                    "%(department)s has no statement of %(month)s: it used nothing in it",
                    department=repr(ask.path["department"]),
                    month=month,
                )
            )
        return File(made.name, made.content, MEDIA[form])

    return make


REGISTERED: Final[tuple[Registered, ...]] = tuple(
    Download(path=f"/departments/{{department}}/files/{form}", title=f"Statement as {form.upper()}", rule=DEPARTMENT,
             make=_maker(form), about="The statement as `jangbu statement export` makes it.",
             parameters=(MONTH, Parameter("lang", "the file's language", LANGUAGES)))
    for form in ("pdf", "xlsx", "csv")
)  # fmt: skip
