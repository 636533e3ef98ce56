"""The frame of every page: language, theme, navigation, what was just done; and the headers that keep a page safe."""

from __future__ import annotations

import json
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse

from billing.ledger.closes import month_after, month_before
from jangbu.web import charts
from jangbu.web.figures import Figures
from jangbu.web.kept_words import LAWS, QUARANTINE, told_again
from jangbu.web.navigation import places_of
from jangbu.web.paths import name_part, path_part
from jangbu.web.static_files import static_url
from jangbu.web.wording import ENGLISH, chosen_language, wording

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from jangbu.settings import Settings
    from jangbu.web.wording import Wording

TEMPLATES: Final = Path(__file__).parent / "templates"
LANGUAGE_COOKIE: Final = "jangbu_language"
THEME_COOKIE: Final = "jangbu_theme"
SAID_COOKIE: Final = "jangbu_said"
THEMES: Final = ("light", "dark")
A_YEAR_S: Final = 31_536_000
SAFE_HEADERS: Final = {
    "cache-control": "no-store",
    "referrer-policy": "same-origin",
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; "
    "connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
}


def render(request: Request, template: str, status: int = 200, **values: Any) -> Response:
    """A page in the frame. What others wrote is escaped by the template; nothing is computed in the browser."""
    language = language_of(request)
    theme = _theme_of(request)
    settings: Settings | None = getattr(request.app.state, "settings", None)
    zone = "UTC" if settings is None else settings.timezone
    person = getattr(request.state, "person", None)
    values = {
        "request": request, "person": person, "csrf": getattr(request.state, "csrf", None), "language": language,
        "theme": theme, "said": _said(request), "places": places_of(person), "zone": zone,
        "organisation": None if settings is None else settings.organisation,
        "currency": "KRW" if settings is None else settings.currency, "here": request.url.path,
        "people_are_named": settings is None or settings.people == "named", **values,
    }  # fmt: skip
    page = environment(language, zone).get_template(template).render(values)
    answer = HTMLResponse(page, status, headers=SAFE_HEADERS)
    _keep_choices(request, answer)
    if SAID_COOKIE in request.cookies:
        answer.delete_cookie(SAID_COOKIE, path="/", httponly=True, samesite="lax")
    return answer


def language_of(request: Request) -> str:
    """The reader's language."""
    asked = request.query_params.get("lang") or request.cookies.get(LANGUAGE_COOKIE)
    default = getattr(request.app.state, "language", "en")
    return chosen_language(asked, request.headers.get("accept-language"), default)


def say(answer: Response, kind: str, sentence: str) -> None:
    """Have the next page tell what was done (`done`) or refused (`problem`)."""
    told = quote(json.dumps([kind, sentence[:1500]]), safe="")
    answer.set_cookie(SAID_COOKIE, told, max_age=60, path="/", httponly=True, samesite="lax")


def with_query(request: Request, **changes: Any) -> str:
    """This page's address with some parameters changed; None takes one away, a list gives several."""
    dropped = {*changes, "lang", "theme"}
    kept = [(name, value) for name, value in request.query_params.multi_items() if name not in dropped]
    for name, value in changes.items():
        if value is None:
            continue
        kept += [(name, str(one)) for one in value] if isinstance(value, list | tuple) else [(name, str(value))]
    path = path_of(request)
    return f"{path}?{urlencode(kept)}" if kept else path


def path_of(request: Request) -> str:
    """This page's path as it was sent, for a link: a name's slash stays a sign of the name, and `//x` is no host."""
    sent: bytes = request.scope.get("raw_path") or quote(request.url.path).encode()
    return "/" + quote(sent, safe="/%:@!$&'()*+,;=~").lstrip("/")


def told(words: str, texts: Wording) -> Markup:
    """What the books say, in the page's language; the original marked as English where no catalogue has it."""
    if texts.language == ENGLISH:
        return escape(words)
    found = texts.told(words)
    found = told_again(words, texts.language) if found is None else found
    if found is None and words.isascii():
        return Markup('<span lang="en">{}</span>').format(words)
    return escape(found or words)


def told_of(words: str, language: str, file: str) -> Markup:
    """What is kept of one kind, in the page's language; the original marked as English where no template makes it."""
    found = None if language == ENGLISH else told_again(words, language, file=file)
    if found is None and language != ENGLISH:
        return Markup('<span lang="en">{}</span>').format(words)
    return escape(found or words)


@cache
def environment(language: str, zone: str) -> Environment:
    """The templates in one language and zone."""
    found = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
    )  # fmt: skip
    texts = wording(language)
    found.install_gettext_callables(texts.gettext, texts.ngettext, newstyle=True)  # type: ignore[attr-defined]
    found.filters.update(Figures(texts, zone).filters())
    found.filters.update(path_part=path_part, name_part=name_part)
    found.filters["told"] = partial(told, texts=texts)
    for name, file in (("law_told", LAWS), ("record_told", QUARANTINE)):
        found.filters[name] = partial(told_of, language=language, file=file)
    steps = {"month_before": month_before, "month_after": month_after}
    found.globals.update(static=static_url, with_query=with_query, charts=charts, **steps)
    return found


def _theme_of(request: Request) -> str | None:
    asked = request.query_params.get("theme") or request.cookies.get(THEME_COOKIE)
    return asked if asked in THEMES else None


def _keep_choices(request: Request, answer: Response) -> None:
    """Remember a language or theme that was chosen by its link."""
    language, theme = request.query_params.get("lang"), request.query_params.get("theme")
    if language is not None and language == language_of(request):
        answer.set_cookie(LANGUAGE_COOKIE, language, max_age=A_YEAR_S, path="/", httponly=True, samesite="lax")
    if theme in THEMES:
        answer.set_cookie(THEME_COOKIE, theme, max_age=A_YEAR_S, path="/", httponly=True, samesite="lax")
    elif theme == "auto":
        answer.delete_cookie(THEME_COOKIE, path="/", httponly=True, samesite="lax")


def _said(request: Request) -> tuple[str, str] | None:
    """What the last action told, once."""
    try:
        kind, sentence = json.loads(unquote(request.cookies[SAID_COOKIE]))
    except (KeyError, ValueError, TypeError):
        return None
    if kind not in ("done", "problem") or not isinstance(sentence, str):
        return None
    return kind, sentence
