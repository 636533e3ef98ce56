"""What a visitor's browser would complain about, and what axe-core finds on a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from playwright.sync_api import ConsoleMessage, Page, Request, Response, Route

OWN_HOSTS = frozenset({"127.0.0.1", "localhost"})
OF_NO_HOST = frozenset({"about", "blob", "data"})
FAILED_FETCH = "Failed to load resource"
"""What the console says of every answer from 400 on. That is judged by the answer: a page may well be refused."""
FAILED_FROM = 400


class OpenPage(Protocol):
    """Opens a page in a context of its own: cookies of one are none of another's."""

    def __call__(self, *, javascript: bool = True, **options: Any) -> Page: ...


def watch(page: Page, complaints: list[str]) -> None:
    """Write down what goes wrong on a page; what is asked of other hosts is not sent."""

    def at_console(message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith(FAILED_FETCH):
            complaints.append(f"{page.url}: console: {message.text}")

    def at_answer(answer: Response) -> None:
        if answer.status >= FAILED_FROM and answer.request.resource_type != "document":
            complaints.append(f"{page.url}: {answer.url} was answered with {answer.status}")

    def at_request(route: Route, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in OF_NO_HOST or parts.hostname in OWN_HOSTS:
            route.fallback()
        else:
            complaints.append(f"{page.url} asked for {request.url}")
            route.abort()

    page.route("**/*", at_request)
    page.on("console", at_console)
    page.on("pageerror", lambda error: complaints.append(f"{page.url}: script: {error}"))
    page.on("response", at_answer)


def axe_findings(page: Page, only: Sequence[str] = ()) -> list[str]:
    """What axe-core finds on the page as it stands, a line an element; the page must run scripts. `only`: by rules."""
    options = {"runOnly": {"type": "rule", "values": list(only)}} if only else {}
    found = Axe().run(page, options=options).response["violations"]
    return [
        f"{rule['id']} ({rule['impact']}): {' '.join(map(str, node['target']))}: {node['failureSummary']}"
        for rule in found
        for node in rule["nodes"]
    ]
