"""Settings of enforcement: what a gateway does with calls beyond a quota, and where one signs the pledge."""

from dataclasses import dataclass
from typing import Any, Final

from jangbu.settings_values import one_of, parse_http_url, whole_number

GATEWAY_SETTINGS: Final[tuple[tuple[str, Any, str | None, bool], ...]] = (
    ("quota", one_of("off", "observe", "enforce"), "off", False),
    ("quota_fail", one_of("open", "closed"), "open", False),
    ("quota_output_tokens_max", whole_number(1, 10_000_000), None, False),
    ("pledge_url", parse_http_url, None, False),
)
"""Name, parser, default and whether it is secret, as `settings.Spec` takes them."""


@dataclass(frozen=True, kw_only=True)
class QuotaSettings:
    """Attributes:
    quota: what a gateway does with calls beyond a quota: ``off`` (nothing), ``observe`` (count them), ``enforce``.
    quota_fail: whether calls pass (``open``) or not (``closed``) while nothing is known of the quotas.
    quota_output_tokens_max: what is set for calls under a hard quota that name no maximum; None: they are refused.
    pledge_url: where one signs the pledge.
    """

    quota: str
    quota_fail: str
    quota_output_tokens_max: int | None
    pledge_url: str | None
