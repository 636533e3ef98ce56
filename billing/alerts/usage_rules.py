"""What is due of models: one that is used for the first time, and use that has no price. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from billing.alerts.alert import Due

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Unpriced(NamedTuple):
    """Use of a model without a price in the current month: quantity over `units`, which are named."""

    provider: str
    model: str
    units: tuple[str, ...]
    quantity: int


def new_models_due(models: Iterable[tuple[str, str]]) -> Iterator[Due]:
    """(provider, model) that are in use; once ever for each."""
    for provider, model in models:
        yield Due("new_model", f"{len(provider)}/{provider}/{model}", "info", {"provider": provider, "model": model})


def unpriced_due(uses: Iterable[Unpriced], book: int) -> Iterator[Due]:
    """Once for a model and a state of the price book (the number of its last import): who brings prices and leaves one
    out is told again."""
    for use in uses:
        content = {
            "provider": use.provider,
            "model": use.model,
            "units": sorted(use.units),
            "quantity": str(use.quantity),
        }
        yield Due("unpriced", f"{book}/{len(use.provider)}/{use.provider}/{use.model}", "warning", content)
