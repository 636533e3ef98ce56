"""Settings of `invoice fetch`: for each vendor with an API its key, or a file that holds it, and where the API stands.

A key comes from the environment or from a file of its own that nobody else may read, never from jangbu.toml, which is
kept and passed on with the rest. It is shown nowhere.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from jangbu.errors import SettingsError
from jangbu.settings_secret_files import read_secret
from jangbu.settings_values import parse_http_url, parse_path, parse_token

if TYPE_CHECKING:
    from billing.invoices.fetching.apis import VendorApi
    from billing.invoices.fetching.transport import Access

LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
VENDORS: Final = ("openai", "anthropic", "openrouter", "xai", "mistral")


def parse_api_url(text: str) -> str:
    """The address of a vendor's API: https, or http on this machine; no user, query or fragment in it."""
    address = parse_http_url(text)
    parts = urlsplit(address)
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ValueError("holds more than an address: write https://host or https://host/path")
    if parts.scheme != "https" and parts.hostname not in LOOPBACK:
        raise ValueError("would send the key in clear: write https://…; http is for this machine only")
    return address


def parse_team(text: str) -> str:
    """xAI's team id, which stands in paths."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,100}", text):
        raise ValueError("is not the id of a team: write letters, digits, - and _, as the console shows it")
    return text


VENDOR_SETTINGS: Final = (
    *(
        entry
        for vendor in VENDORS
        for entry in (
            (f"{vendor}_key", parse_token, None, True),
            (f"{vendor}_key_file", parse_path, None, False),
            (f"{vendor}_url", parse_api_url, None, False),
        )
    ),
    ("xai_team", parse_team, None, False),
)
"""Name, parser, default and whether it is secret, as `settings.Spec` takes them."""


@dataclass(frozen=True, kw_only=True)
class VendorSettings:
    """How vendors are asked. An unset address is the vendor's own."""

    openai_key: str | None = field(repr=False)
    openai_key_file: Path | None
    openai_url: str | None
    anthropic_key: str | None = field(repr=False)
    anthropic_key_file: Path | None
    anthropic_url: str | None
    openrouter_key: str | None = field(repr=False)
    openrouter_key_file: Path | None
    openrouter_url: str | None
    xai_key: str | None = field(repr=False)
    xai_key_file: Path | None
    xai_url: str | None
    mistral_key: str | None = field(repr=False)
    mistral_key_file: Path | None
    mistral_url: str | None
    xai_team: str | None


def access_of(settings: VendorSettings, origins: Mapping[str, str], api: "VendorApi") -> "Access":
    """Where a vendor is asked and with which key.

    Raises:
        SettingsError: no key, two keys, a key in jangbu.toml, a key file that others may read; xAI without a team.
    """
    from billing.invoices.fetching.transport import Access

    name = api.setting
    key, file = _value(settings, f"{name}_key"), _value(settings, f"{name}_key_file")
    variable, file_variable = _variable(f"{name}_key"), _variable(f"{name}_key_file")
    if key is None and file is None:
        raise SettingsError(
            f"there is no key to ask {api.names[0]} with: set {variable}, or {file_variable} to a file (mode 0600) "
            f"that holds a {api.key_kind}"
        )
    if key is not None and file is not None:
        raise SettingsError(f"{variable} and {file_variable} are both set: keep the one that counts")
    if key is not None and not origins[f"{name}_key"].startswith("environment"):
        raise SettingsError(
            f"{name}_key stands in {origins[f'{name}_key']}, which is no place for a key: set {variable}, or write it "
            f"into a file of its own (mode 0600) and name that with {name}_key_file"
        )
    team = settings.xai_team if api.needs_team else None
    if api.needs_team and team is None:
        raise SettingsError(f"{api.names[0]} is asked by team: set {_variable(f'{name}_team')} to the team's id")
    return Access(
        base_url=_value(settings, f"{name}_url") or api.base_url,
        key=key if key is not None else read_secret(file, file_variable, "key", parse_token),
        key_from=variable if key is not None else file_variable,
        url_from=_variable(f"{name}_url"),
        team=team,
    )


def _value(settings: VendorSettings, name: str) -> Any:
    return getattr(settings, name)


def _variable(name: str) -> str:
    return f"JANGBU_{name.upper()}"
