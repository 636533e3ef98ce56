"""An OpenID provider: discovery, authorization code with PKCE (Authlib), and what an ID token must be.

An ID token counts only if a key of the provider's JWKS signed it with an asymmetric algorithm, for this issuer, this
client, this nonce, and now (OpenID Connect Core 1.0, 3.1.3.7). Everything else is refused by name in the log, and by
one sentence on the page.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jangbu.settings import Settings

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
TIMEOUT_S: Final = 10
LEEWAY_S: Final = 60
KEEP_S: Final = 3_600
REFRESH_S: Final = 10
DOCUMENT_BYTES_MAX: Final = 1_000_000


class ProviderAway(Exception):
    """The provider does not answer, or not as a provider."""


class NotSignedIn(Exception):
    """What came back from the provider is not to be believed."""


def provider_of(settings: Settings) -> Provider | None:
    """The provider of these settings; None: none is set, or half of one (`sign_in_contradictions` says so)."""
    if settings.oidc_issuer is None or settings.oidc_client_id is None:
        return None
    return Provider(settings.oidc_issuer, settings.oidc_client_id, settings.oidc_client_secret, settings.oidc_scopes)


@dataclass
class Provider:
    """One provider. Its discovery document and keys are kept for an hour; usable from several threads."""

    issuer: str
    client_id: str
    client_secret: str | None = field(repr=False)
    scopes: str
    _document: Mapping[str, Any] | None = field(default=None, repr=False)
    _keys: Any = field(default=None, repr=False)
    _read_at_s: float = field(default=0.0, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def check(self) -> None:
        """Read the discovery document and the keys. Raises ProviderAway with what is wrong."""
        document, _ = self._read()
        for name in ("authorization_endpoint", "token_endpoint"):
            _told(document, name)

    def address(self, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        """Where the browser is sent to sign in. Raises ProviderAway."""
        endpoint = _told(self._read()[0], "authorization_endpoint")
        with self._client(redirect_uri) as client:
            url, _ = client.create_authorization_url(endpoint, state=state, nonce=nonce, code_verifier=verifier)
        return str(url)

    def claims(self, code: str, redirect_uri: str, nonce: str, verifier: str) -> dict[str, Any]:
        """The claims of who came back. Raises ProviderAway, NotSignedIn."""
        import httpx2
        from authlib.common.errors import AuthlibBaseError

        endpoint = _told(self._read()[0], "token_endpoint")
        try:
            with self._client(redirect_uri) as client:
                tokens = client.fetch_token(
                    endpoint, grant_type="authorization_code", code=code, code_verifier=verifier
                )
        except AuthlibBaseError as error:
            raise NotSignedIn(f"the provider refused the code ({error.error})") from None
        except (httpx2.HTTPError, ValueError) as error:
            raise ProviderAway(f"the token endpoint of {self.issuer} does not answer: {type(error).__name__}") from None
        id_token = tokens.get("id_token")
        if not isinstance(id_token, str):
            raise NotSignedIn("the provider gave no ID token: the scopes must hold openid")
        return self.believed(id_token, nonce, tokens.get("access_token"))

    def believed(self, id_token: str, nonce: str, access_token: str | None) -> dict[str, Any]:
        """The claims of an ID token that may be believed. Raises NotSignedIn, ProviderAway."""
        from authlib.oidc.core import CodeIDToken
        from joserfc import jwt
        from joserfc.errors import JoseError

        try:
            token = self._decoded(id_token, jwt)
            wanted = {"iss": self.issuer, "aud": self.client_id}
            options = {name: {"essential": True, "value": value} for name, value in wanted.items()}
            params = {"nonce": nonce, "client_id": self.client_id, "access_token": access_token}
            claims = CodeIDToken(token.claims, token.header, options, params)
            claims.validate(now=int(time.time()), leeway=LEEWAY_S)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise NotSignedIn(f"the ID token is not to be believed ({type(error).__name__}: {error})") from None
        audience = token.claims["aud"]
        if isinstance(audience, list) and len(audience) > 1 and token.claims.get("azp") != self.client_id:
            raise NotSignedIn("the ID token is for several clients and was not given to this one")
        return dict(token.claims)

    def _decoded(self, id_token: str, jwt: Any) -> Any:
        """The token, its signature checked; where no key fits, the keys are read anew once."""
        from joserfc.errors import BadSignatureError, InvalidKeyIdError, JoseError

        document, keys = self._read()
        supported = document.get("id_token_signing_alg_values_supported", ["RS256"])
        algorithms = [name for name in ALGORITHMS if name in supported]
        try:
            return jwt.decode(id_token, keys, algorithms=algorithms)
        except (BadSignatureError, InvalidKeyIdError, ValueError):
            if time.monotonic() - self._read_at_s < REFRESH_S:
                raise
            self._read_at_s = 0.0
        except JoseError:
            raise
        return jwt.decode(id_token, self._read()[1], algorithms=algorithms)

    def _client(self, redirect_uri: str) -> Any:
        from authlib.integrations.httpx_client import OAuth2Client

        return OAuth2Client(
            self.client_id, self.client_secret, scope=self.scopes, redirect_uri=redirect_uri,
            code_challenge_method="S256", timeout=TIMEOUT_S,
            token_endpoint_auth_method="client_secret_basic" if self.client_secret else "none",
        )  # fmt: skip

    def _read(self) -> tuple[Mapping[str, Any], Any]:
        """The discovery document and the keys. Raises ProviderAway."""
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet

        with self._lock:
            if self._document is None or not self._read_at_s or time.monotonic() - self._read_at_s > KEEP_S:
                document = _fetched(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
                if document.get("issuer") != self.issuer:
                    raise ProviderAway(
                        f"{self.issuer} says that it is {document.get('issuer')!r}: "
                        "set JANGBU_OIDC_ISSUER to exactly that"
                    )
                try:
                    self._keys = KeySet.import_key_set(_fetched(_told(document, "jwks_uri")))  # type: ignore[arg-type]
                except (JoseError, ValueError, TypeError, KeyError):
                    raise ProviderAway(f"the keys of {self.issuer} cannot be read") from None
                self._document, self._read_at_s = document, time.monotonic()
            return self._document, self._keys


def groups_of(claims: Mapping[str, Any], path: str) -> frozenset[str]:
    """The texts that a claim holds: one, or a list; `realm_access.roles` goes into objects."""
    found: Any = claims
    if path in claims:
        found = claims[path]
    else:
        for word in path.split("."):
            found = found.get(word) if isinstance(found, dict) else None
    words = [found] if isinstance(found, str) else found if isinstance(found, list) else []
    return frozenset(word for word in words if isinstance(word, str) and word and word.isprintable())


def roles_of(groups: frozenset[str], mapping: Mapping[str, str]) -> frozenset[str]:
    """The roles that groups give; everybody whom the organisation signs in is an employee."""
    return frozenset(mapping[group] for group in groups if group in mapping) | {"employee"}


def _fetched(url: str) -> Mapping[str, Any]:
    import httpx2

    try:
        answer = httpx2.get(url, timeout=TIMEOUT_S, follow_redirects=False)
        document = answer.json() if len(answer.content) <= DOCUMENT_BYTES_MAX and answer.status_code == 200 else None
    except (httpx2.HTTPError, ValueError) as error:
        raise ProviderAway(f"the provider does not answer at {url} ({type(error).__name__})") from None
    if not isinstance(document, dict):
        raise ProviderAway(f"the provider answered {answer.status_code} at {url}, and no document")
    return document


def _told(document: Mapping[str, Any], name: str) -> str:
    told = document.get(name)
    if not isinstance(told, str):
        raise ProviderAway(f"the provider's discovery document names no {name}")
    return told
