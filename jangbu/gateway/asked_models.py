"""Which models' prices a gateway has asked the door for, and what the door said of them.

Names come from whoever calls: only the latest are kept, so that nobody can crowd out everybody else's, and what the
door says no more of is forgotten: a price that has ended, or money that no rate converts any longer, is unknown.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

from billing.quotas.rates import MODELS_MAX

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jangbu.gateway.known import Rates

Model = tuple[str, str]
"""Its provider and its name."""
KEPT_S: Final = 3600.0
"""A model that was not asked for so long is told no more; asked for again, one call waits for its price."""


class AskedModels:
    """Usable from several threads. `rates` is replaced whole, never changed."""

    def __init__(self) -> None:
        self.rates: Rates = {}
        self._asked: dict[Model, float] = {}
        self._lock = threading.Lock()

    def ask(self, models: Iterable[Model], now_s: float) -> None:
        """Ask for these from now on."""
        with self._lock:
            for model in models:
                self._asked.pop(model, None)
                self._asked[model] = now_s

    def has_asked(self, models: Iterable[Model]) -> bool:
        """Whether the door was asked for all of these."""
        return all(model in self._asked for model in models)

    def latest(self, now_s: float) -> list[Model]:
        """What to ask for in a report, sorted; older ones, and those of which there are too many, are forgotten."""
        with self._lock:
            kept = [(model, at_s) for model, at_s in self._asked.items() if at_s + KEPT_S > now_s][-MODELS_MAX:]
            self._asked = dict(kept)
            return sorted(self._asked)

    def learn(self, told: Iterable[Sequence[Any]]) -> None:
        """What the door says of the models that it was asked for: all that is known from now on."""
        self.rates = {(currency, provider, model): of_units for currency, provider, model, of_units in told}
