"""What limits one person's requests: the same answer from the board in memory and, without one, from the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from billing.programmes.register import held_programmes
from billing.quotas.board import Board
from billing.quotas.quota import in_force
from billing.quotas.register import held_quotas, read_members
from billing.quotas.states import STATES, Prices, QuotaState, states_at
from billing.quotas.table import QuotaTable

if TYPE_CHECKING:
    from billing.quotas.quota import Quota
    from jangbu.web.views import Ask


def own_quotas(ask: Ask, user: str, department: str | None) -> list[QuotaState]:
    """Every quota that a request of a person may count against: the organisation's, the department's, those of
    programmes with a place, the own; also those of single models. The worst state first, then those of all models."""
    rows = ask.of_inputs("quotas", lambda: held_quotas(ask.connection))
    board = ask.books.board() or _board_now(ask, rows)
    programmes = ask.of_inputs("programmes", lambda: held_programmes(ask.connection))
    of_models = {one.key.model for one in in_force(rows, ask.now) if one.key.model}
    of_models.update(model for one in programmes.values() for model in one.models)
    found = {
        (one.quota.id, one.subject): one
        for model in (None, *sorted(of_models))
        for one in board.about(ask.now, user, department, model)
    }
    return sorted(found.values(), key=lambda one: -STATES.index(one.state))


def _board_now(ask: Ask, rows: list[Quota]) -> Board:
    """A board of what the snapshot holds."""
    zone = ask.books.policy.zone
    states = states_at(ask.connection, rows, Prices(ask.book, ask.rates, zone), ask.now)
    by_subject = {(one.quota.id, one.subject): one for one in states}
    return Board(QuotaTable(rows), by_subject, zone, ask.now, read_members(ask.connection, rows, zone))
