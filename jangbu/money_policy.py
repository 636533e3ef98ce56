"""The money policy that the settings describe: one place, so that commands, audit and demo decide alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from billing.errors import BillingError
from billing.fx_policy import FxPolicy
from billing.policy import MoneyPolicy, step_digits
from jangbu.errors import SettingsError

if TYPE_CHECKING:
    from jangbu.settings import Settings

_FX_POLICIES: dict[str, FxPolicy] = {name: name for name in ("usage_day", "month_fixed", "invoice")}


def policy_of(settings: Settings) -> MoneyPolicy:
    """The policy of checked settings. Raises SettingsError for what only billing can tell, such as a currency."""
    try:
        return MoneyPolicy(
            zone=settings.timezone,
            currency=settings.currency,
            step_digits=step_digits(settings.rounding_step),
            rest_to=settings.rounding_rest_to,
            fx_policy=_FX_POLICIES[settings.fx_policy],
            fx_day=settings.fx_day,
            unattributed_limit=settings.unattributed_limit,
        )
    except BillingError as error:
        raise SettingsError(str(error)) from error
