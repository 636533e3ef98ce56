"""A vendor's month fetched whole: every request of the plan asked, the pages put into files as people bring them.

A single page is a file with the very bytes that came. Several pages of one surface are a JSON list of them, each with
its very bytes. Nothing is stored here: if one request fails, there are no files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from billing.invoices.fetching.apis import Grain
from billing.invoices.fetching.errors import NOTHING, FetchRefused, NothingToFetch, NotThere
from billing.invoices.fetching.paging import PAGES_MAX, Chain, decoded
from billing.invoices.source import FILE_BYTES_MAX, SourceFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from billing.invoices.fetching.apis import VendorApi
    from billing.invoices.fetching.asking import Ask, Plan
    from billing.invoices.fetching.transport import VendorClient

CURSOR_PARAMETER = "page"


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """A surface's answers for the month. `days_unanswered`: asked for, and no page spoke about them.

    `has_rows` is False where every bucket is empty: such pages of costs and of use are the same bytes.
    """

    source: SourceFile
    surface: str
    format: str
    pages: int
    days_unanswered: tuple[date, ...]
    has_rows: bool = True


def fetch_month(api: VendorApi, plan: Plan, client: VendorClient) -> list[FetchedFile]:
    """Ask everything, oldest first. Raises FetchRefused and its kinds at the first thing that fails."""
    bodies: dict[str, list[bytes]] = {}
    unanswered: dict[str, list[date]] = {}
    with_rows: set[str] = set()
    for ask in plan.asks:
        chain = Chain(ask, api.names[0])
        pages = bodies.setdefault(ask.surface.name, [])
        for body in _pages(ask, chain, client):
            pages.append(body)
            _refuse_too_much(pages, chain)
        if chain.results or not ask.surface.has_pages:
            with_rows.add(ask.surface.name)
        if ask.surface.has_pages:
            unanswered.setdefault(ask.surface.name, []).extend(d for d in ask.days if d not in chain.answered)
    surfaces = {ask.surface.name: ask.surface for ask in plan.asks}
    return [
        FetchedFile(
            SourceFile(
                f"{api.names[0]}-{name}-{plan.month.name}.json", joined(pages), surface=surfaces[name].format
            ),
            name,
            surfaces[name].format,
            len(pages),
            tuple(unanswered.get(name, ())),
            name in with_rows,
        )
        for name, pages in bodies.items()
    ]


def joined(pages: list[bytes]) -> bytes:
    """One page as it came; several as a JSON list that holds each as it came."""
    if len(pages) == 1:
        return pages[0]
    return b"[" + b",\n".join(page.removeprefix(b"\xef\xbb\xbf") for page in pages) + b"]"


def _pages(ask: Ask, chain: Chain, client: VendorClient) -> Iterator[bytes]:
    """The pages of one request, following what each says comes next."""
    cursor: str | None = None
    for _ in range(PAGES_MAX):
        more = () if cursor is None else ((CURSOR_PARAMETER, cursor),)
        try:
            body = client.get(ask.path, (*ask.parameters, *more))
        except NotThere as error:
            if ask.surface.grain is not Grain.PREVIEW:
                raise
            raise NothingToFetch(
                f"{chain.vendor} has no bill that is paid afterwards for this team (status 404 for {ask.path}): only "
                f"postpaid teams have a preview; {NOTHING}"
            ) from error
        cursor = chain.next_cursor(body)
        _refuse_no_invoice(ask, chain.vendor, body)
        yield body
        if cursor is None:
            return


def _refuse_too_much(pages: list[bytes], chain: Chain) -> None:
    """As soon as it is too much, and not when there is no memory left."""
    if sum(map(len, pages)) > FILE_BYTES_MAX:
        raise FetchRefused(
            f"{chain.vendor} {chain.ask.surface.name}: its pages have more than the {FILE_BYTES_MAX} bytes that an "
            f"invoice may have: bring the vendor's export in parts; {NOTHING}"
        )


def _refuse_no_invoice(ask: Ask, vendor: str, body: bytes) -> None:
    """A list of invoices without one is no month without cost: the invoice is not written yet."""
    document = decoded(body)
    if isinstance(document, dict) and document.get("invoices") == []:
        raise NothingToFetch(
            f"{vendor} has no invoice for {ask.days[0]:%Y-%m} yet: fetch again when it is issued; {NOTHING}"
        )
