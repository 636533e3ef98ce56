"""The OpenAPI 3.1 document of /api/v1, made from what is registered: nothing is served that it does not list."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from jangbu.web.routes import XLSX, api_path
from jangbu.web.views import Action, Document, Download, View

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jangbu.web.views import Registered

_ERRORS = {"400": "what was sent is refused", "401": "nobody is signed in", "403": "not allowed to this person",
           "404": "there is no such thing", "409": "the state of the books forbids it",
           "503": "the database is away"}  # fmt: skip
_ERROR = {"type": "object", "required": ["error", "code"],
          "properties": {"error": {"type": "string"}, "code": {"type": "string"}}}  # fmt: skip


def openapi_document(registered: Iterable[Registered], version: str) -> Document:
    """The document. Amounts are strings of exact decimals, times RFC 3339; None is unknown."""
    paths: dict[str, dict[str, Any]] = {}
    for one in registered:
        path = re.sub(r":\w+\}", "}", api_path(one))
        paths.setdefault(path, {})["post" if isinstance(one, Action) else "get"] = _operation(one)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "jangbu", "version": version,
            "description": "Usage billing for an AI gateway: everything that the pages show, with the same rights. "
            "Amounts and quantities beyond 2^53 are strings of exact decimals; null is unknown, never 0.",
        },
        "security": [{"token": []}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Error": _ERROR},
        },
    }  # fmt: skip


def _operation(one: Registered) -> Document:
    made: Document = {
        "operationId": re.sub(r"[^a-z0-9]+", "_", f"{type(one).__name__}_{one.path}".lower()).strip("_"),
        "summary": one.title,
        "description": " ".join(filter(None, [one.about, f"For: {one.rule.name}."])),
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in re.findall(r"\{(\w+)(?::\w+)?\}", one.path)
        ],
        "responses": {"200": _success(one)} | {
            status: {"description": words,
                     "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
            for status, words in _ERRORS.items()
        },
    }  # fmt: skip
    if isinstance(one, Action):
        made["requestBody"] = _body(one)
        return made
    parameters = [(p.name, p.about, p.values, p.many) for p in one.parameters]
    if isinstance(one, View) and one.table is not None:
        parameters.append(("format", "the view's table as a file", ("csv", "xlsx"), False))
    for name, about, values, many in parameters:
        schema: Document = {"type": "string"} | ({"enum": list(values)} if values else {})
        made["parameters"].append({
            "name": name, "in": "query", "description": about, "required": False,
            "schema": {"type": "array", "items": schema} if many else schema,
        })  # fmt: skip
    return made


def _success(one: Registered) -> Document:
    if isinstance(one, Download):
        return {"description": "the file", "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}}
    content: Document = {"application/json": {"schema": {"type": "object"}}}
    if isinstance(one, View) and one.table is not None:
        content["text/csv"] = {"schema": {"type": "string"}}
        content[XLSX] = {"schema": {"type": "string", "format": "binary"}}
    return {"description": "the document", "content": content}


def _body(one: Action) -> Document:
    properties: Document = {}
    for field in one.fields:
        schema: Document = {"type": "string", "description": field.about}
        if field.values:
            schema["enum"] = list(field.values)
        if field.kind == "file":
            schema |= {"format": "binary"}
        if field.kind == "flag":
            schema = {"type": "boolean", "description": field.about}
        if field.kind == "many":
            schema = {"type": "array", "items": {"type": "string"}, "description": field.about}
        properties[field.name] = schema
    shape = {"type": "object", "properties": properties, "required": [f.name for f in one.fields if f.required]}
    has_file = any(field.kind == "file" for field in one.fields)
    kinds = ("multipart/form-data",) if has_file else ("application/json", "application/x-www-form-urlencoded")
    return {"required": bool(shape["required"]), "content": {kind: {"schema": shape} for kind in kinds}}
