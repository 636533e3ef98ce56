"""The sign-in's pages, in the frame of all pages where it is installed, else in a bare one."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, FileSystemLoader
from starlette.responses import HTMLResponse

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

TEMPLATES: Final = Path(__file__).parents[1] / "templates"
HEADERS: Final = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; frame-ancestors 'none'",
}
"""No referrer: the address of the first sign-in holds a secret. No form-action: a sign-in goes on to a provider."""


def show(request: Request, template: str, status: int = 200, **values: Any) -> Response:
    """A page of the sign-in. Texts of others are escaped by the template."""
    if find_spec("jangbu.web.frame") is not None:
        answer: Response = import_module("jangbu.web.frame").render(request, template, **values)
        answer.status_code = status
    else:
        answer = HTMLResponse(_bare().get_template(template).render(request=request, **values), status)
    answer.headers.update(HEADERS)
    return answer


@cache
def _bare() -> Environment:
    frame = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>jangbu</title>'
        "<main>{% block content %}{% endblock %}</main></html>"
    )
    found = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True)
    found.globals.update(_=str)
    found.cache = {}
    loader = found.loader
    assert loader is not None
    from jinja2 import ChoiceLoader, DictLoader

    found.loader = ChoiceLoader([loader, DictLoader({"frame.html": frame})])
    return found
