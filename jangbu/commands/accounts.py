"""`jangbu account`: local accounts for the pages, for installations without an OpenID provider."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from jangbu.errors import UsageError
from jangbu.output import print_documents
from jangbu.settings_sign_in import ROLES

if TYPE_CHECKING:
    from jangbu.context import Context
    from jangbu.web.signin.accounts import Account

COLUMNS = ("name", "display_name", "user", "roles", "departments", "state", "made_by", "made_at")
LINE_CHARACTERS_MAX = 4_096
role_option = click.option(
    "--role", "roles", type=click.Choice(ROLES), multiple=True, help="What the account may do; several times for more."
)
department_option = click.option(
    "--department", "departments", multiple=True, metavar="CODE",
    help="A department that a head answers for, beside those of the register; several times for more.",
)  # fmt: skip
user_option = click.option("--user", metavar="USER", help="The id that this person's usage events carry.")


@click.group()
def account() -> None:
    """Accounts of people who sign in to the pages: add, list, set, password, disable, enable."""


@account.command("add")
@click.argument("name")
@role_option
@department_option
@user_option
@click.option("--display-name", metavar="NAME", help="As the pages show it (default: NAME).")
@click.pass_obj
def account_add(
    ctx: Context,
    name: str,
    roles: tuple[str, ...],
    departments: tuple[str, ...],
    user: str | None,
    display_name: str | None,
) -> None:
    """Make an account. The password is asked for on a terminal, else read as the first line of standard input."""
    from jangbu.web.signin.accounts import add_account

    password = _password() if roles else ""  # without a role it is refused below; nobody types for that
    with ctx.engine("billing") as engine, engine.begin() as connection:
        made = add_account(
            connection, name, password, roles, actor=ctx.actor, display_name=display_name, user=user,
            departments=departments,
        )  # fmt: skip
    click.echo(f"account {made.name} made: {_described(made)}", err=True)
    _warn_of_empty_head(made)


@account.command("list")
@click.option("--json", "as_json", is_flag=True)
@click.option("--csv", "as_csv", is_flag=True)
@click.pass_obj
def account_list(ctx: Context, as_json: bool, as_csv: bool) -> None:
    """Every account with its roles; never a password, nor its hash."""
    from jangbu.web.signin.accounts import list_accounts

    with ctx.engine("billing") as engine, engine.connect() as connection:
        documents = [account_document(one) for one in list_accounts(connection)]
    print_documents("accounts", documents, COLUMNS, as_json=as_json, as_csv=as_csv)


@account.command("set")
@click.argument("name")
@role_option
@department_option
@click.option("--no-departments", is_flag=True, help="Answer for no department but those of the register.")
@click.pass_obj
def account_set(
    ctx: Context, name: str, roles: tuple[str, ...], departments: tuple[str, ...], no_departments: bool
) -> None:
    """Give an account other roles, other departments, or both; it holds from the next page that is opened."""
    from jangbu.web.signin.accounts import account_of, folded, set_roles

    if departments and no_departments:
        raise UsageError("--department and --no-departments contradict each other: give one of them")
    if not (roles or departments or no_departments):
        raise UsageError("nothing to set: give --role, --department or --no-departments")
    with ctx.engine("billing") as engine, engine.begin() as connection:
        kept = roles or account_of(connection, folded(name)).roles
        told = departments if departments or no_departments else None
        changed = set_roles(connection, name, kept, told, actor=ctx.actor)
    click.echo(f"account {changed.name}: {_described(changed)}", err=True)
    _warn_of_empty_head(changed)


@account.command("password")
@click.argument("name")
@click.pass_obj
def account_password(ctx: Context, name: str) -> None:
    """Give an account another password; its sessions end. It is asked for, or read, as by `account add`."""
    from jangbu.web.signin.accounts import account_of, folded, set_password

    with ctx.engine("billing") as engine:
        with engine.connect() as connection:
            account_of(connection, folded(name))  # before anybody types
        password = _password()
        with engine.begin() as connection:
            set_password(connection, name, password, actor=ctx.actor)
    click.echo(f"account {name}: another password; whoever was signed in with it no longer is", err=True)


@account.command("disable")
@click.argument("name")
@click.pass_obj
def account_disable(ctx: Context, name: str) -> None:
    """Shut an account; its sessions end. What it did stays in the audit trail."""
    _set_disabled(ctx, name, disabled=True)


@account.command("enable")
@click.argument("name")
@click.pass_obj
def account_enable(ctx: Context, name: str) -> None:
    """Open a shut account again."""
    _set_disabled(ctx, name, disabled=False)


def _set_disabled(ctx: Context, name: str, *, disabled: bool) -> None:
    from jangbu.web.signin.accounts import set_disabled

    with ctx.engine("billing") as engine, engine.begin() as connection:
        set_disabled(connection, name, disabled, actor=ctx.actor)
    click.echo(f"account {name} is {'shut' if disabled else 'open'}", err=True)


def _password() -> str:
    """What a person types twice, or the first line of standard input. Never an argument: those are seen by others."""
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    line = sys.stdin.readline(LINE_CHARACTERS_MAX)
    if not line:
        raise UsageError("no password came on standard input: write it there as one line, or run this on a terminal")
    return line.rstrip("\r\n")


def account_document(one: Account) -> dict[str, object]:
    state = "shut" if one.disabled else "open"
    cells = (one.name, one.display_name, one.user, list(one.roles), list(one.departments), state)
    return dict(zip(COLUMNS, (*cells, one.made_by, one.made_at), strict=True))


def _described(one: Account) -> str:
    return ", ".join(one.roles) + (f"; departments {', '.join(one.departments)}" if one.departments else "")


def _warn_of_empty_head(one: Account) -> None:
    if "head" in one.roles and not one.departments and one.user is None:
        click.echo(
            f"jangbu: {one.name} is a head of nothing: name departments with --department, or make the account with "
            "--user, so that the register of departments is asked",
            err=True,
        )
