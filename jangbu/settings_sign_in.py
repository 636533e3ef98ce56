"""Settings of the sign-in: a provider, a proxy in front, local accounts, and how long a session holds."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final
from urllib.parse import urlsplit

from jangbu.settings_values import one_of, parse_field_name, parse_http_url, whole_number

LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
ROLES: Final = ("finance", "head", "platform", "auditor", "employee")
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,99}")
PROXIES_MAX: Final = 65_536
"""A network with more addresses is hardly one of proxies: doctor warns of it."""
Network = IPv4Network | IPv6Network


class Networks(tuple[Network, ...]):
    """Networks, shown as they are written."""

    __slots__ = ()

    def __str__(self) -> str:
        return ", ".join(map(str, self)) or "none"


class RoleMap(dict[str, str]):
    """Group -> role, shown as it is written."""

    def __str__(self) -> str:
        return json.dumps(self, ensure_ascii=False)


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


def parse_networks(text: str) -> Networks:
    """Addresses and networks, separated by commas; `none`."""
    if text.strip() == "none":
        return Networks()
    try:
        networks = Networks(ip_network(word.strip()) for word in text.split(",") if word.strip())
    except ValueError:
        networks = Networks()
    if not networks:
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
    return RoleMap(told)


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
    ("trusted_proxies", parse_networks, "none", False),
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
    trusted_proxies: Networks
    sign_in_header: str | None
    sign_in_header_roles: str | None


def sign_in_contradictions(settings: SignInSettings) -> list[str]:
    """What keeps `serve` from starting: sentences, each with what to do."""
    told = []
    if settings.sign_in_header is not None and not settings.trusted_proxies:
        told.append(
            f"JANGBU_SIGN_IN_HEADER is {settings.sign_in_header} and nobody may send it: set JANGBU_TRUSTED_PROXIES to "
            "the proxy's addresses"
        )
    if settings.oidc_issuer is not None and settings.oidc_client_id is None:
        told.append("JANGBU_OIDC_ISSUER is set without JANGBU_OIDC_CLIENT_ID: set the id that it knows us by")
    ways = (settings.oidc_issuer, settings.sign_in_header)
    if settings.sign_in_accounts == "off" and ways == (None, None):
        told.append(
            "JANGBU_SIGN_IN_ACCOUNTS is off and there is no other way in: set JANGBU_OIDC_ISSUER or "
            "JANGBU_SIGN_IN_HEADER, or leave accounts on"
        )
    return told


def sign_in_warnings(settings: SignInSettings, http_host: str) -> list[str]:
    """What works and is probably not meant: sentences, each with what to do."""
    told = []
    public = settings.public_url
    outside = settings.oidc_issuer is not None or settings.sign_in_header is not None
    if http_host not in LOOPBACK and not (public or "").startswith("https://"):
        told.append(
            f"JANGBU_HTTP_HOST is {http_host} and JANGBU_PUBLIC_URL no https address: passwords and sessions go in "
            "clear; put TLS in front and set JANGBU_PUBLIC_URL=https://…"
        )
    if settings.oidc_issuer is not None and public is None:
        told.append(
            "JANGBU_PUBLIC_URL is not set: the provider sends browsers back to the address that we listen on, which "
            "only this machine may reach; set where browsers find the pages"
        )
    if settings.oidc_issuer is None and (settings.oidc_client_id or settings.oidc_client_secret):
        told.append("JANGBU_OIDC_CLIENT_ID or _SECRET is set without JANGBU_OIDC_ISSUER: set the issuer, or remove it")
    if outside and not settings.sign_in_roles:
        told.append(
            "JANGBU_SIGN_IN_ROLES is empty: whom the organisation signs in is an employee and nothing else; map "
            'groups to roles, such as {"ai-finance": "finance"}'
        )
    if settings.sign_in_header is None and settings.sign_in_header_roles is not None:
        told.append("JANGBU_SIGN_IN_HEADER_ROLES is set without JANGBU_SIGN_IN_HEADER: nobody reads it; set the other")
    if settings.sign_in_header is not None and settings.sign_in_roles and settings.sign_in_header_roles is None:
        told.append(
            "JANGBU_SIGN_IN_ROLES maps groups and no header lists them: set JANGBU_SIGN_IN_HEADER_ROLES, such as "
            "X-Forwarded-Groups"
        )
    if settings.session_idle_minutes > settings.session_hours * 60:
        told.append(
            f"JANGBU_SESSION_IDLE_MINUTES ({settings.session_idle_minutes}) is longer than JANGBU_SESSION_HOURS "
            f"({settings.session_hours}): the idle limit never comes"
        )
    wide = [str(network) for network in settings.trusted_proxies if network.num_addresses > PROXIES_MAX]
    if wide:
        told.append(
            f"JANGBU_TRUSTED_PROXIES holds {', '.join(wide)}: whoever is there can say who he is; name the proxy alone"
        )
    return told
