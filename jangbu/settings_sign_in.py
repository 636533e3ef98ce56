"""Settings of the sign-in: a provider, a proxy in front, local accounts, and how long a session holds."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from jangbu.settings_values import one_of, parse_field_name, parse_http_url, whole_number

LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
ROLES: Final = ("finance", "head", "platform", "auditor", "employee")
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,99}")
Network = IPv4Network | IPv6Network


def parse_issuer(text: str) -> str:
    """The issuer exactly as the provider writes it: https, or http on this machine."""
    parts = urlsplit(parse_http_url(text))
    if parts.query or parts.fragment or parts.username is not None:
        raise ValueError("holds more than an address: write the issuer as the provider's discovery document does")
    if parts.scheme != "https" and parts.hostname not in LOOPBACK:
        raise ValueError("would be asked in clear: write https://…; http is for this machine only")
    return text


def parse_public_url(text: str) -> str:
    """Where browsers find the pages: scheme, host and port, no path."""
    address = parse_http_url(text)
    parts = urlsplit(address)
    if parts.path or parts.query or parts.fragment or parts.username is not None:
        raise ValueError("holds more than scheme, host and port: write https://jangbu.example.org")
    return address


def parse_words(text: str) -> str:
    """Words without control characters: a client's id, scopes."""
    if not text.strip() or not text.isprintable() or len(text) > 2_000:
        raise ValueError("is empty or holds what cannot be printed: write what the provider gave you")
    return text.strip()


def parse_header(text: str) -> str:
    """The name of an HTTP header, in lower case."""
    if not _HEADER.fullmatch(text) or text.lower() in ("host", "cookie", "authorization", "origin", "x-forwarded-for"):
        raise ValueError("is no header that a proxy could name a person in: write one such as X-Forwarded-User")
    return text.lower()


def parse_networks(text: str) -> tuple[Network, ...]:
    """Addresses and networks, separated by commas."""
    try:
        networks = tuple(ip_network(word.strip()) for word in text.split(",") if word.strip())
    except ValueError:
        networks = ()
    if not networks and text.strip():
        raise ValueError("is no list of addresses: write 10.0.0.5, 10.1.0.0/24 or 2001:db8::/64, separated by commas")
    if any(network.prefixlen == 0 for network in networks):
        raise ValueError("holds every address there is: name those of the proxy alone")
    return networks


def parse_role_map(text: str) -> Mapping[str, str]:
    """Groups of the provider or proxy -> role: `{"jangbu-finance": "finance"}`."""
    try:
        told = json.loads(text)
    except ValueError:
        told = None
    if not isinstance(told, dict) or not all(isinstance(role, str) and role in ROLES for role in told.values()):
        raise ValueError(f'is no map to roles: write {{"group": "finance"}}; roles are {", ".join(ROLES)}')
    return MappingProxyType(told)


SIGN_IN_SETTINGS: Final = (
    ("public_url", parse_public_url, None, False),
    ("sign_in_accounts", one_of("on", "off"), "on", False),
    ("sign_in_roles", parse_role_map, "{}", False),
    ("session_idle_minutes", whole_number(1, 1_440), "60", False),
    ("session_hours", whole_number(1, 720), "12", False),
    ("oidc_issuer", parse_issuer, None, False),
    ("oidc_client_id", parse_words, None, False),
    ("oidc_client_secret", parse_words, None, True),
    ("oidc_scopes", parse_words, "openid profile", False),
    ("oidc_user_claim", parse_field_name, "sub", False),
    ("oidc_name_claim", parse_field_name, "name", False),
    ("oidc_roles_claim", parse_field_name, "groups", False),
    ("oidc_departments_claim", parse_field_name, None, False),
    ("trusted_proxies", parse_networks, "", False),
    ("sign_in_header", parse_header, None, False),
    ("sign_in_header_roles", parse_header, None, False),
)
"""Name, parser, default and whether it is secret, as `settings.Spec` takes them."""


@dataclass(frozen=True, kw_only=True)
class SignInSettings:
    """Attributes:
    public_url: where browsers find the pages; None: as they ask. https makes cookies Secure.
    sign_in_accounts: whether local accounts may sign in.
    sign_in_roles: group of the provider or proxy -> role; whoever has none is an employee.
    session_idle_minutes: a session ends when nothing is asked for so long.
    session_hours: and in any case after so long.
    oidc_issuer: the OpenID provider; None: none.
    oidc_client_id: as it knows us.
    oidc_client_secret: None: a public client (PKCE alone).
    oidc_scopes: what is asked for.
    oidc_user_claim: the claim that holds the user's id as usage events carry it.
    oidc_name_claim: the claim with the name to show.
    oidc_roles_claim: the claim with groups; dots for nesting.
    oidc_departments_claim: the claim with codes of departments that a head answers for; None: the register alone.
    trusted_proxies: whose X-Forwarded-For and sign-in header are believed.
    sign_in_header: in which the organisation's proxy names the person; None: in none.
    sign_in_header_roles: in which it lists the person's groups, separated by commas.
    """

    public_url: str | None
    sign_in_accounts: str
    sign_in_roles: Mapping[str, str]
    session_idle_minutes: int
    session_hours: int
    oidc_issuer: str | None
    oidc_client_id: str | None
    oidc_client_secret: str | None = field(repr=False)
    oidc_scopes: str
    oidc_user_claim: str
    oidc_name_claim: str
    oidc_roles_claim: str
    oidc_departments_claim: str | None
    trusted_proxies: tuple[Network, ...]
    sign_in_header: str | None
    sign_in_header_roles: str | None
