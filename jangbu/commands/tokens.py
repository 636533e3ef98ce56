"""`jangbu token`: what programs show at the API instead of a password."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from jangbu.commands.accounts import department_option, role_option, user_option
from jangbu.output import print_documents, print_json

if TYPE_CHECKING:
    from jangbu.context import Context
    from jangbu.web.signin.api_tokens import ApiToken

COLUMNS = (
    "name", "user", "roles", "departments", "scope", "state", "made_by", "made_at", "expires_at", "revoked_at",
)  # fmt: skip
DAYS_MAX = 3_650


@click.group()
def token() -> None:
    """Tokens of programs that use the API: add, list, revoke."""


@token.command("add")
@click.argument("name")
@role_option
@department_option
@user_option
@click.option("--days", type=click.IntRange(1, DAYS_MAX), default=365, help="How long it holds (default 365).")
@click.option("--read-write", is_flag=True, help="It may change what its roles may change (default: read alone).")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def token_add(
    ctx: Context,
    name: str,
    roles: tuple[str, ...],
    departments: tuple[str, ...],
    user: str | None,
    days: int,
    read_write: bool,
    as_json: bool,
) -> None:
    """Make a token and print it, this once; its hash is kept. Its changes are signed token:NAME."""
    from jangbu.web.signin.api_tokens import add_token

    with ctx.engine("billing") as engine, engine.begin() as connection:
        secret = add_token(
            connection, name, roles, days=days, read_only=not read_write, actor=ctx.actor, user=user,
            departments=departments,
        )  # fmt: skip
    if as_json:
        print_json({"name": name, "token": secret, "days": days, "scope": "read-write" if read_write else "read"})
        return
    click.echo(secret)
    click.echo("It is not shown again. Send it as `Authorization: Bearer …`.", err=True)


@token.command("list")
@click.option("--json", "as_json", is_flag=True)
@click.option("--csv", "as_csv", is_flag=True)
@click.pass_obj
def token_list(ctx: Context, as_json: bool, as_csv: bool) -> None:
    """Every token that was ever given: whose, what it may, until when. Never the token itself."""
    from jangbu.web.signin.api_tokens import list_tokens

    with ctx.engine("billing") as engine, engine.connect() as connection:
        documents = [token_document(one) for one in list_tokens(connection)]
    print_documents("tokens", documents, COLUMNS, as_json=as_json, as_csv=as_csv)


@token.command("revoke")
@click.argument("name")
@click.pass_obj
def token_revoke(ctx: Context, name: str) -> None:
    """End a token at once. Its name stays, so that what it did stays told."""
    from jangbu.web.signin.api_tokens import revoke_token

    with ctx.engine("billing") as engine, engine.begin() as connection:
        revoke_token(connection, name, actor=ctx.actor)
    click.echo(f"token {name} is revoked", err=True)


def token_document(one: ApiToken) -> dict[str, object]:
    scope = "read" if one.read_only else "read-write"
    cells = (one.name, one.user, list(one.roles), list(one.departments), scope, one.state)
    return dict(zip(COLUMNS, (*cells, one.made_by, one.made_at, one.expires_at, one.revoked_at), strict=True))
