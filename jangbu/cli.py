"""The command `jangbu`: finds the command asked for, loads settings, and turns errors into sentences and exit codes."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

import click

from jangbu import __version__
from jangbu.context import Context
from jangbu.errors import JangbuError

COMMANDS = {
    "demo": "jangbu.commands.demo:demo",
    "up": "jangbu.commands.run:up",
    "worker": "jangbu.commands.run:worker",
    "publisher": "jangbu.commands.run:publisher",
    "serve": "jangbu.commands.serve:serve",
    "migrate": "jangbu.commands.system:migrate",
    "doctor": "jangbu.commands.system:doctor",
    "audit": "jangbu.commands.system:audit",
    "account": "jangbu.commands.accounts:account",
    "token": "jangbu.commands.tokens:token",
    "alerts": "jangbu.commands.run:alerts",
    "ingest": "jangbu.commands.ingest:ingest",
    "wait": "jangbu.commands.ingest:wait",
    "roster": "jangbu.commands.roster:roster",
    "department": "jangbu.commands.department:department",
    "budget": "jangbu.commands.budget:budget",
    "plan": "jangbu.commands.plan:plan",
    "forecast": "jangbu.commands.forecast:forecast",
    "price": "jangbu.commands.prices:price",
    "fx": "jangbu.commands.prices:fx",
    "usage": "jangbu.commands.usage:usage",
    "period": "jangbu.commands.periods:period",
    "statement": "jangbu.commands.statement_files:statement",
    "export": "jangbu.commands.export:export",
    "explain": "jangbu.commands.explain:explain",
    "whatif": "jangbu.commands.whatif:whatif",
    "vendor": "jangbu.commands.invoices:vendor",
    "invoice": "jangbu.commands.fetching:invoice",
    "allocation": "jangbu.commands.allocation:allocation",
    "reconcile": "jangbu.commands.invoices:reconcile",
    "break": "jangbu.commands.breaks:break_",
    "quota": "jangbu.commands.quota:quota",
    "alert": "jangbu.commands.alert:alert",
    "pledge": "jangbu.commands.pledge:pledge",
    "programme": "jangbu.commands.programme:programme",
    "flags": "jangbu.commands.flags:flags",
    "quarantine": "jangbu.commands.quarantine:quarantine",
}
"""Where each command stands; read only when it is asked for, so that starting costs little."""

FLAGS = {
    "--data-dir": "data_dir",
    "--database-url": "database_url",
    "--kafka-bootstrap": "kafka_bootstrap",
    "--timezone": "timezone",
    "--currency": "currency",
    "--rounding-step": "rounding_step",
    "--rounding-rest-to": "rounding_rest_to",
    "--fx-policy": "fx_policy",
    "--fx-day": "fx_day",
    "--unattributed-limit": "unattributed_limit",
    "--config": "config",
}
"""Settings that any command takes, before or after its name."""


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is named."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        target = COMMANDS.get(cmd_name)
        if target is None:
            return None
        module, _, attribute = target.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="jangbu")
@click.option("--data-dir", metavar="DIR", help="Where embedded services and the outbox live (default .jangbu).")
@click.option("--database-url", metavar="URL", help="The owner's PostgreSQL URL (unset: embedded).")
@click.option("--kafka-bootstrap", metavar="HOST:PORT", help="Kafka's addresses (unset: embedded broker).")
@click.option("--timezone", metavar="ZONE", help="The organisation's zone (default Asia/Seoul).")
@click.option("--currency", metavar="CODE", help="The organisation's currency (default KRW).")
@click.option("--rounding-step", metavar="STEP", help="What statements are rounded to: 1 (default) or 10 (won).")
@click.option("--rounding-rest-to", metavar="DEPARTMENT", help="Who takes a step left over (unset: largest remainder).")
@click.option("--fx-policy", metavar="POLICY", help="usage_day (default), month_fixed or invoice.")
@click.option("--fx-day", metavar="DAY", help="Day of month_fixed: last (default), 1 to 31, or a date.")
@click.option("--unattributed-limit", metavar="SHARE", help="Share of cost that may be unattributed at a close (0.01).")
@click.option("--config", metavar="FILE", type=click.Path(path_type=Path), help="Settings file (default jangbu.toml).")
@click.pass_context
def cli(ctx: click.Context, /, config: Path | None, **flags: str | None) -> None:
    """Usage billing for an organisation's AI gateway: exact to the won, exactly once, reconciled."""
    ctx.obj = Context(flags=flags, config=config, environ=dict(os.environ), cwd=Path.cwd())


def main(argv: list[str] | None = None) -> None:
    """Run a command and exit with a code of contract.md, section 4."""
    try:
        cli.main(args=settings_first(sys.argv[1:] if argv is None else argv), prog_name="jangbu", standalone_mode=False)
    except JangbuError as error:
        sys.exit(_say(str(error), error.exit_code))
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(_say("stopped by the keyboard", 130))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:  # noqa: BLE001 - the last resort: a sentence and exit code 1, the trace on request
        sys.exit(_unexpected(error))


def settings_first(argv: list[str]) -> list[str]:
    """Settings may stand before or after the command's name: move them to the front, up to a `--`."""
    front: list[str] = []
    rest: list[str] = []
    words = iter(argv)
    for word in words:
        if word == "--":
            rest += [word, *words]
            break
        name, equals, _ = word.partition("=")
        if name not in FLAGS:
            rest.append(word)
        elif equals:
            front.append(word)
        else:
            front += [word, *([value] if (value := next(words, None)) is not None else [])]
    return front + rest


def _say(sentence: str, code: int) -> int:
    click.echo(f"jangbu: {sentence}", err=True)
    return code


def _unexpected(error: Exception) -> int:
    """Books in a state that forbids it (5), connections that fail (3, settings); anything else is ours (1)."""
    from billing.errors import StateRefused
    from jangbu.context import connection_sentence

    if isinstance(error, StateRefused):
        return _say(str(error), 5)

    sentence = connection_sentence(error)
    if sentence is not None:
        return _say(sentence, 3)
    if os.environ.get("JANGBU_TRACE"):
        raise error
    kind: Any = type(error).__name__
    return _say(
        f"unexpected {kind}: {str(error).splitlines()[0] if str(error) else ''} (set JANGBU_TRACE=1 for the trace)", 1
    )
