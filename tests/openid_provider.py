"""An OpenID provider of our own, as a process: what an organisation's is to the sign-in, and what a false one would be.

It follows OpenID Connect Core 1.0 with PKCE (RFC 7636) and `iss` in its answers (RFC 9207): exact redirect addresses,
codes for one use, a client's secret, keys by JWKS. `POST /plant` with a word of PLANTS has it misbehave from then on,
with an empty body it behaves again. Start it by `openid_provider()`; its address is its issuer.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

import uvicorn
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

CLIENT_ID = "jangbu"
CLIENT_SECRET = "secret-of-the-client"
USERS: dict[str, dict[str, Any]] = {
    "kim": {"sub": "s-1", "preferred_username": "kim", "name": "김민수", "groups": ["ai-finance", "city"]},
    "lee": {"sub": "s-2", "preferred_username": "lee", "name": "<b>Lee", "groups": "audit-office"},
    "park": {"sub": "s-3", "preferred_username": "park", "realm_access": {"roles": ["ai-platform"]}},
    "nameless": {"sub": "s-4"},
}
PLANTS = (
    "issuer", "audience", "several_audiences", "expired", "early", "nonce", "no_nonce", "alg_none", "alg_hs256",
    "other_key", "unsigned", "no_token", "no_subject", "answer_issuer", "at_hash", "discovery", "rotate", "down",
)  # fmt: skip


class Provider:
    """What the provider knows: its keys, the codes that it gave and nobody has brought back."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.plant = ""
        self.key = RSAKey.generate_key(2048, {"kid": "k1", "use": "sig", "alg": "RS256"})
        self.codes: dict[str, dict[str, str]] = {}

    async def discovery(self, _request: Request) -> Response:
        if self.plant == "down":
            return Response("no", 500)
        at = self.issuer
        return JSONResponse({
            "issuer": "https://elsewhere.example.org" if self.plant == "discovery" else at,
            "authorization_endpoint": f"{at}/authorize", "token_endpoint": f"{at}/token", "jwks_uri": f"{at}/jwks",
            "response_types_supported": ["code"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "none", "HS256"],
            "code_challenge_methods_supported": ["S256"],
        })  # fmt: skip

    async def jwks(self, _request: Request) -> Response:
        return JSONResponse({"keys": [self.key.as_dict(private=False)]})

    async def authorize(self, request: Request) -> Response:
        """A page that asks who it is; its form gives a code to the client."""
        asked = dict(request.query_params)
        wanted = {"client_id": CLIENT_ID, "response_type": "code", "code_challenge_method": "S256"}
        sound = all(asked.get(name) == value for name, value in wanted.items()) and "openid" in asked["scope"].split()
        if not sound or not asked.get("code_challenge") or not asked["redirect_uri"].endswith("/sign-in/oidc/callback"):
            return Response("unsound request", 400)
        if request.method == "GET":
            return HTMLResponse(
                '<!doctype html><html lang="en"><title>City</title><h1>City</h1><form method="post">'
                '<label>User <input name="user"></label><button>Go on</button></form>' + escape(asked["client_id"])
            )
        async with request.form() as form:
            user = str(form["user"])
        answer = {"state": asked["state"], "iss": self.issuer}
        if user == "nobody":
            answer["error"] = "access_denied"
        else:
            answer["code"] = secrets.token_urlsafe(16)
            self.codes[answer["code"]] = asked | {"user": user}
        if self.plant == "answer_issuer":
            answer["iss"] = "https://elsewhere.example.org"
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(answer)}", 303)

    async def token(self, request: Request) -> Response:
        """A code, once, by the client that it was given to and with the verifier of who began."""
        wanted = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {wanted}":
            return JSONResponse({"error": "invalid_client"}, 401)
        fields = dict(parse_qsl((await request.body()).decode()))
        given = self.codes.pop(fields.get("code", ""), None)
        digest = hashlib.sha256(fields.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if given is None or given["redirect_uri"] != fields.get("redirect_uri") or given["code_challenge"] != challenge:
            return JSONResponse({"error": "invalid_grant"}, 400)
        access = secrets.token_urlsafe(16)
        told: dict[str, Any] = {"access_token": access, "token_type": "Bearer", "expires_in": 60}
        if self.plant != "no_token":
            told["id_token"] = self._id_token(given, access)
        return JSONResponse(told)

    async def set_plant(self, request: Request) -> Response:
        self.plant = (await request.body()).decode()
        if self.plant not in ("", *PLANTS):
            return Response("no such plant", 400)
        if self.plant == "rotate":
            self.key = RSAKey.generate_key(2048, {"kid": secrets.token_hex(4), "use": "sig", "alg": "RS256"})
        return Response(self.plant)

    def _id_token(self, given: dict[str, str], access: str) -> str:
        now = int(time.time())
        claims = {
            "iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": given["nonce"],
            "at_hash": _half_hash(access), **USERS[given["user"]],
        }  # fmt: skip
        changes: dict[str, dict[str, Any]] = {
            "issuer": {"iss": "https://elsewhere.example.org"}, "audience": {"aud": "another"},
            "several_audiences": {"aud": [CLIENT_ID, "another"]}, "expired": {"iat": now - 999, "exp": now - 99},
            "early": {"iat": now + 999, "nbf": now + 999, "exp": now + 9_999}, "nonce": {"nonce": "another"},
            "at_hash": {"at_hash": _half_hash("another")},
        }  # fmt: skip
        claims |= changes.get(self.plant, {})
        for plant, name in (("no_nonce", "nonce"), ("no_subject", "sub")):
            if self.plant == plant:
                del claims[name]
        if self.plant == "alg_none":
            return f"{_part({'alg': 'none', 'kid': 'k1'})}.{_part(claims)}."
        if self.plant == "alg_hs256":  # signed with what everybody knows: the public key as a secret
            signed = f"{_part({'alg': 'HS256', 'kid': str(self.key.kid)})}.{_part(claims)}"
            mac = hmac.digest(self.key.as_pem(private=False), signed.encode(), "sha256")
            return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
        key = RSAKey.generate_key(2048) if self.plant == "other_key" else self.key
        token = jwt.encode({"alg": "RS256", "kid": str(self.key.kid)}, claims, key)
        return token.rpartition(".")[0] + "." if self.plant == "unsigned" else token


def _half_hash(access: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(access.encode()).digest()[:16]).rstrip(b"=").decode()


def _part(document: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


def serve() -> None:
    """Serve until the end of standard input; the first line said is the issuer."""
    listener = socket.create_server(("127.0.0.1", 0))
    provider = Provider(f"http://127.0.0.1:{listener.getsockname()[1]}")
    app = Starlette(routes=[
        Route("/.well-known/openid-configuration", provider.discovery), Route("/jwks", provider.jwks),
        Route("/authorize", provider.authorize, methods=["GET", "POST"]),
        Route("/token", provider.token, methods=["POST"]), Route("/plant", provider.set_plant, methods=["POST"]),
    ])  # fmt: skip
    print(provider.issuer, flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off")).run(sockets=[listener])


@contextmanager
def openid_provider() -> Iterator[str]:
    """A provider until the block ends: its issuer."""
    command = [sys.executable, "-m", "tests.openid_provider"]
    checkout = Path(__file__).parents[1]
    with subprocess.Popen(command, cwd=checkout, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


if __name__ == "__main__":
    serve()
