"""Registered views and actions as routes: rights first, then the snapshot, the document, and its form."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from sqlalchemy import exc
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from billing.errors import BillingError, StateRefused
from billing.outputs.rows_file import rows_csv, rows_workbook
from billing.sentences import Sentence
from jangbu.errors import JangbuError, NotFoundError, RefusedByStateError, SettingsError, UsageError
from jangbu.output import as_text, json_text
from jangbu.web.answers import Refused
from jangbu.web.bodies import read_body
from jangbu.web.frame import SAFE_HEADERS, language_of, path_of, render, say
from jangbu.web.refusals import refusal_lines
from jangbu.web.signin.places import local_path
from jangbu.web.views import Action, Ask, Document, Done, Download, File, Form, Registered, Table, View
from jangbu.web.wording import wording

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request

    from jangbu.web.books import Books
    from jangbu.web.rights import Rule

API: Final = "/api/v1"
XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
STATUSES: Final[tuple[tuple[type[Exception], int, str], ...]] = (
    (StateRefused, 409, "state"),
    (BillingError, 400, "input"),
    (UsageError, 400, "input"),
    (NotFoundError, 404, "not_found"),
    (RefusedByStateError, 409, "state"),
    (SettingsError, 503, "settings"),
    (JangbuError, 500, "failed"),
)
"""What an error is in HTTP, the first that fits; contract.md, section 4 has the exit codes of the same errors."""


def routes_of(registered: Iterable[Registered], books: Books) -> list[Route]:
    """Two routes for each: the page's and the API's."""
    routes = []
    for one in registered:
        method = "POST" if isinstance(one, Action) else "GET"
        page, resource = _endpoints(one, books)
        routes.append(Route(one.path, page, methods=[method], name=f"{method} {one.path}"))
        routes.append(Route(api_path(one), resource, methods=[method], name=f"{method} {api_path(one)}"))
    return routes


def api_path(one: Registered) -> str:
    """Where the API has it."""
    return API + (one.api if isinstance(one, View) and one.api is not None else one.path)


def _endpoints(one: Registered, books: Books) -> tuple[Any, Any]:
    async def page(request: Request) -> Response:
        answer = _not_allowed(request, one.rule, is_page=True)
        if answer is not None:
            return answer
        try:
            return await _answer(request, one, books, is_page=True)
        except Exception as error:
            refused = _as_refused(error)
            if refused is None:
                raise
            return problem_page(request, refused)

    async def resource(request: Request) -> Response:
        _not_allowed(request, one.rule, is_page=False)
        try:
            return await _answer(request, one, books, is_page=False)
        except Exception as error:
            refused = _as_refused(error)
            if refused is None:
                raise
            raise refused from error

    return page, resource


async def _answer(request: Request, one: Registered, books: Books, *, is_page: bool) -> Response:
    if isinstance(one, Action):
        form = await _form(request)
        try:
            done = await run_in_threadpool(one.do, _ask(request, books), form)
        finally:
            books.memory.forget()
        return _shown_done(request, one, done) if is_page else _json(done.document | {"said": done.sentence})
    return await run_in_threadpool(_read, request, one, books, is_page)


def _read(request: Request, one: View | Download, books: Books, is_page: bool) -> Response:
    with ExitStack() as stack:
        ask = replace(_ask(request, books), open_snapshot=lambda: stack.enter_context(books.snapshot()))
        if isinstance(one, Download):
            return _download(one.make(ask))
        document = one.read(ask)
        format_ = ask.one("format")
        if format_ in ("csv", "xlsx"):
            if one.table is None:
                raise Refused(404, "format", "this view has no table to download: ask for it as JSON under /api/v1")
            return _with_time(_download(_table_file(one.table(ask, document), format_)), ask)
    if not is_page:
        return _with_time(_json(document), ask)
    return render(request, one.template, view=one, ask=ask, doc=document)


def _with_time(answer: Response, ask: Ask) -> Response:
    """Pages say of when reports are from which newer use may be missing; what has no page says it in a header."""
    if ask.as_of is not None:
        answer.headers["jangbu-as-of"] = ask.as_of.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return answer


def _not_allowed(request: Request, rule: Rule, *, is_page: bool) -> Response | None:
    """None where the person may; a page leads to the sign-in or says no; the API raises Refused."""
    person = request.state.person
    if rule.is_open or (person is not None and rule.allows(person, request.path_params)):
        return None
    if person is None:
        if not is_page:
            raise Refused(401, "signed_out", "nobody is signed in: send a token as `Authorization: Bearer …`",
                          headers={"www-authenticate": "Bearer"})  # fmt: skip
        going = path_of(request) + (f"?{request.url.query}" if request.url.query else "")
        going = going if request.method == "GET" else "/"
        return RedirectResponse(f"/sign-in?next={quote(local_path(going), safe='')}", 303, headers=SAFE_HEADERS)
    if is_page and request.url.path == "/" and person.user is not None:
        # Where a sign-in ends; an employee's is the own page.
        return RedirectResponse("/me", 303, headers=SAFE_HEADERS)
    sentence = Sentence("%(person)s may not do this: it is for %(rule)s", person=person.name, rule=Sentence(rule.name))
    refused = Refused(403, "rights", sentence)
    if not is_page:
        raise refused
    return problem_page(request, refused)


def problem_page(request: Request, refused: Refused) -> Response:
    """A refusal as a page: what, why, what to do."""
    lines = refusal_lines(refused, wording(language_of(request)))
    answer = render(request, "problem.html", refused.status, problem=lines, code=refused.code)
    answer.headers.update(refused.headers)
    return answer


def _as_refused(error: Exception) -> Refused | None:
    """What HTTP says of an error; None for a defect."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, exc.OperationalError):
        sentence = "the database is away: try again in a minute"
        return Refused(503, "database", sentence, headers={"retry-after": "10"})
    for kind, status, code in STATUSES:
        if isinstance(error, kind):
            refused = Refused(status, code, str(error))
            refused.__cause__ = error
            return refused
    return None


def _ask(request: Request, books: Books) -> Ask:
    query = {name: request.query_params.getlist(name) for name in request.query_params}
    _check_signs(one for values in (request.path_params.values(), *query.values()) for one in values)
    return Ask(request.state.person, books, dict(request.path_params), query, wording(language_of(request)))


async def _form(request: Request) -> Form:
    """Fields of a form or of a JSON object; raises Refused for what is neither."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    fields, files = await _sent(request, kind)
    _check_signs(one for values in fields.values() for one in values)
    _check_signs(name for brought in files.values() for name, _ in brought)
    return Form(fields, files)


async def _sent(request: Request, kind: str) -> tuple[dict[str, list[str]], dict[str, list[tuple[str, bytes]]]]:
    """Fields and files by name."""
    if kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
        fields: dict[str, list[str]] = {}
        files: dict[str, list[tuple[str, bytes]]] = {}
        async with request.form(max_files=200, max_fields=5_000) as sent:
            for name, value in sent.multi_items():
                if isinstance(value, UploadFile):
                    files.setdefault(name, []).append((value.filename or "", await value.read()))
                else:
                    fields.setdefault(name, []).append(value)
        return fields, files
    body = await read_body(request, request.app.state.door.limits)
    if not body and kind in ("", "application/json"):
        return {}, {}
    try:
        told = json.loads(body, parse_float=str) if kind == "application/json" else None
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise Refused(400, "body", "the body is neither a form nor a JSON object: send one of the two")
    return {str(name): _texts(value) for name, value in told.items()}, {}


def _check_signs(texts: Iterable[str]) -> None:
    """Refuse texts that no database keeps: with NUL, or with half of a pair of surrogates (JSON can hold one)."""
    for one in texts:
        if "\0" in one or any("\ud800" <= sign <= "\udfff" for sign in one):
            raise Refused(400, "text", "a text holds a sign that is none (NUL, half of a pair): leave it out")


def _texts(value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, list):
        return [text for one in value for text in _texts(one)]
    if isinstance(value, bool):
        return ["true"] if value else []
    if isinstance(value, str | int):
        return [str(value)]
    raise Refused(400, "body", "a field of the body is neither text, number, list nor true or false: send texts")


def _shown_done(request: Request, action: Action, done: Done) -> Response:
    if done.template is not None:
        return render(request, done.template, view=action, doc=done.document, said_now=done.sentence)
    answer = RedirectResponse(local_path(done.going), 303, headers=SAFE_HEADERS)
    if done.sentence:
        say(answer, "done", done.sentence)
    return answer


def _json(document: Document) -> Response:
    return Response(json_text(document), media_type="application/json", headers={"cache-control": "no-store"})


def _table_file(table: Table, format_: str) -> File:
    rows = [dict(zip(table.columns, (as_text(cell) for cell in row), strict=True)) for row in table.rows]
    if format_ == "csv":
        return File(f"{table.name}.csv", rows_csv(table.columns, rows, table.figures), "text/csv; charset=utf-8")
    return File(f"{table.name}.xlsx", rows_workbook(table.name, table.columns, rows, table.figures), XLSX)


def _download(file: File) -> Response:
    plain = "".join(sign if sign.isascii() and (sign.isalnum() or sign in "-_.") else "_" for sign in file.name)
    named = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(file.name, safe='')}"
    headers = {"content-disposition": named, "cache-control": "no-store", "x-content-type-options": "nosniff"}
    return Response(file.content, media_type=file.media_type, headers=headers)
