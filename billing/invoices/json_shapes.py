"""Objects, lists and keys where a vendor's page must have them: what is not of that shape is refused by its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from billing.invoices.errors import InvoiceRefused
from billing.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from billing.invoices.json_pages import Json
    from billing.invoices.source import SourceFile


def only_known(source: SourceFile, place: str, found: Mapping[str, object], known: Collection[str]) -> None:
    """Raises InvoiceRefused naming the first key that no reading of this surface knows."""
    for name in found:
        if name not in known:
            raise InvoiceRefused.at(
                source.name,
                place,
                Sentence("key"),
                name,
                Sentence("unknown; known are %(known)s", known=", ".join(sorted(known))),
            )


def object_at(source: SourceFile, place: str, found: Mapping[str, object], name: str) -> Json:
    """The object that stands under a name. Raises InvoiceRefused where none does."""
    value = found.get(name)
    if not isinstance(value, dict):
        raise InvoiceRefused.at(source.name, place, name, value, "an object stands here")
    return value


def objects_at(
    source: SourceFile, place: str, found: Mapping[str, object], name: str, at: str = ""
) -> Iterator[tuple[str, Json]]:
    """Each object of the list under a name, with its place: `at`, the name and the index.

    Raises InvoiceRefused where there is no list, or something else in it.
    """
    values = found.get(name)
    if not isinstance(values, list):
        raise InvoiceRefused.at(source.name, place, name, values, "a list of objects stands here")
    for index, value in enumerate(values):
        here = f"{at}{name}[{index}]"
        if not isinstance(value, dict):
            raise InvoiceRefused.at(source.name, here, Sentence("entry"), value, "an object stands here")
        yield here, value
