"""Statements as PDF: PDF/A-2a, tagged, the same bytes whenever the same content is asked for.

Fixed are the creation time (the end of the month), the fonts (only the one that `font` names) and the template; values
go to it as JSON, so nothing in a name can become markup. A file carries how it was made (`Recipe`), so that `verifying`
can make it again and compare.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from billing.outputs import font
from billing.outputs.page import Beside, Reader, statement_page
from billing.periods import HOUR_SECONDS, month_in

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import typst

    from billing.outputs.texts import Language

TEMPLATE = Path(__file__).with_name("statement.typ")
STANDARD: Literal["a-2a"] = "a-2a"
NAME_CHARACTERS_MAX = 1000
"""Of a name in a recipe: PDF/A takes no text longer than 32,767 bytes, and pages show far less."""
PAGE_MAKERS = ("statement.typ", "page.py", "texts.py", "figures.py", "shown_text.py", "charge_words.py",
               "charge_texts.py", "numerals.py")  # fmt: skip
STATES = frozenset({"open", "grace", "reconciled", "closed"})
_RECIPE = re.compile(rb"jangbu=([A-Za-z0-9_-]{1,100000})")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a file was made, beside the content that its hash names. `kind` is department or organisation."""

    kind: str
    month: str
    department: str | None
    department_name: str | None
    status: str
    language: Language
    organisation: str
    beside: Beside
    content_hash: str
    maker: str


def statement_pdf(
    document: Mapping[str, Any], recipe: Recipe, documents: Sequence[Mapping[str, Any]] | None = None
) -> bytes:
    """The PDF of a department's statement; for the organisation's the statements of all departments come with it."""
    made = _compile(_page(document, recipe, documents), document, "pdf")
    assert isinstance(made, bytes)
    return made


def statement_pictures(document: Mapping[str, Any], recipe: Recipe, dots_per_inch: int = 110) -> list[bytes]:
    """Each page of a department's statement as PNG, for eyes and documentation."""
    made = _compile(_page(document, recipe, None), document, "png", dots_per_inch)
    return made if isinstance(made, list) else [made]


def recipe_for(
    document: Mapping[str, Any], language: Language, organisation: str, beside: Beside, *, kind: str = "department"
) -> Recipe:
    """The recipe of a document's file as it is made now."""
    return Recipe(
        kind,
        document["month"],
        code_in_recipe(document.get("department")),
        (document.get("department_name") or "")[:NAME_CHARACTERS_MAX] or None,
        document["status"],
        language,
        organisation[:NAME_CHARACTERS_MAX],
        beside,
        document["content_hash"],
        maker(),
    )


def code_in_recipe(code: str | None) -> str | None:
    """A department's code as recipes name it: itself, and for a code that no paper holds its beginning and SHA-256."""
    if code is None or len(code) <= NAME_CHARACTERS_MAX:
        return code
    return code[: NAME_CHARACTERS_MAX // 2] + hashlib.sha256(code.encode()).hexdigest()


def read_recipe(pdf: bytes) -> Recipe | None:
    """The recipe that a PDF carries; None where it is none of ours. Raises ValueError where it cannot be: whoever sent
    the file wrote it."""
    found = _RECIPE.search(pdf)
    if found is None:
        return None
    try:
        read = json.loads(base64.urlsafe_b64decode(found[1] + b"=" * (-len(found[1]) % 4)))
        recipe = Recipe(**{**read, "beside": Beside(**read["beside"])})
    except (TypeError, KeyError, RecursionError, ValueError) as error:
        raise ValueError(f"the file says in a way unknown here how it was made: {error}") from error
    texts = (recipe.month, recipe.organisation, recipe.content_hash, recipe.maker, recipe.status)
    names = (recipe.department, recipe.department_name)
    is_sound = (
        all(isinstance(text, str) for text in texts)
        and all(name is None or isinstance(name, str) for name in names)
        and recipe.kind in ("department", "organisation")
        and recipe.language in ("ko", "en")
        and set(recipe.status.split("/")) <= STATES
        and _is_sound(recipe.beside)
    )
    if not is_sound:
        raise ValueError("the file says in a way that cannot be how it was made")
    return recipe


def _is_sound(beside: Beside) -> bool:
    figures = (beside.budget, beside.budget_left, beside.last_month)
    return bool(re.fullmatch(r"[0-9-]{0,10}", str(beside.budget_period))) and all(
        figure is None or (isinstance(figure, str) and re.fullmatch(r"-?[0-9]{1,30}(\.[0-9]{1,30})?", figure))
        for figure in figures
    )


@lru_cache(maxsize=1)
def maker() -> str:
    """What decides the bytes beside content and recipe: typst, the font, and the modules that make the page."""
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for name in PAGE_MAKERS:
        digest.update((here / name).read_bytes())
    return f"typst {version('typst')}, font {font.font_mark()}, page {digest.hexdigest()[:12]}"


def _page(document: Mapping[str, Any], recipe: Recipe, documents: Sequence[Mapping[str, Any]] | None) -> dict[str, Any]:
    reader = Reader(recipe.language, recipe.organisation, font.covered())
    shown = {**document, "status": recipe.status, "department_name": recipe.department_name}
    page = statement_page(shown, documents, reader, recipe.beside)
    told = base64.urlsafe_b64encode(json.dumps(asdict(recipe), ensure_ascii=False, sort_keys=True).encode())
    page["keywords"] = [f"content_hash={recipe.content_hash}", f"jangbu={told.decode().rstrip('=')}"]
    return page


@lru_cache(maxsize=1)
def _fonts() -> typst.Fonts:
    """The one font, read once; nothing of the machine's or of Typst's own."""
    import typst

    return typst.Fonts(
        include_system_fonts=False,
        include_embedded_fonts=False,
        font_paths=[str(font.font_folder())],
    )


def _compile(
    page: Mapping[str, Any], document: Mapping[str, Any], form: Literal["pdf", "png"], dots_per_inch: int | None = None
) -> bytes | list[bytes]:
    """Typst is imported here: only who makes pages needs it."""
    import typst

    end_hour = month_in(document["month"], document["timezone"]).end_hour
    made: bytes | list[bytes] = typst.compile(
        TEMPLATE.read_bytes(),
        format=form,
        ppi=dots_per_inch,
        font_paths=_fonts(),
        ignore_system_fonts=True,
        sys_inputs={"data": json.dumps(page, ensure_ascii=False)},
        pdf_standards=[STANDARD] if form == "pdf" else [],
        timestamp=end_hour * HOUR_SECONDS,
    )
    return made
