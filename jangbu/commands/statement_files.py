"""`jangbu statement` with all its commands: those of `statements`, and here `export` and `verify`: statements
as files, and whether a file is the ledger's."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jangbu.commands.statements import statement
from jangbu.errors import LawViolatedError, NotFoundError, UsageError
from jangbu.importing import ExistingFile, refusals
from jangbu.output import print_json, print_rows, safe_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from billing.outputs.month_files import Form, MadeFile
    from billing.outputs.texts import Language
    from billing.outputs.verifying import Verdict
    from jangbu.context import Context

UNATTRIBUTED = "unattributed"
ORGANISATION = "organisation"
FILE_BYTES_MAX = 512 * 1024 * 1024


@statement.command("export")
@click.argument("month")
@click.option(
    "--format", "form", type=click.Choice(["pdf", "xlsx", "csv", "json", "zip"]), required=True,
    help="zip: pdf, xlsx and csv in one archive.",
)  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Made if it is missing.")
@click.option("--department", metavar="CODE", help="Only this one; `unattributed`, `organisation`.")
@click.option("--lang", "language", type=click.Choice(["ko", "en"]), help="Default: by the locale.")
@click.option("--zip", "as_zip", is_flag=True, help="One archive instead of single files.")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def statement_export(
    ctx: Context, month: str, form: str, out: Path, department: str | None, language: Language | None,
    as_zip: bool, as_json: bool,
) -> None:  # fmt: skip
    """MONTH's statements as files in --out: one a department, and one for the organisation."""
    from billing.outputs.archive import archive

    forms: list[Form] = ["pdf", "xlsx", "csv"] if form == "zip" else [form]  # type: ignore[list-item]
    with refusals():
        count, files = _made(ctx, month, forms, language, department)
        # Only a terminal sees it: standard error of a script stays empty.
        with click.progressbar(files, count, "files", file=sys.stderr, hidden=not sys.stderr.isatty()) as shown:
            made = list(shown)
    _make_directory(out)
    written = []
    if as_zip or form == "zip":
        name = f"{month}-statements.zip" if form == "zip" else f"{month}-statements-{form}.zip"
        content = archive({one.name: one.content for one in made})
        _write(out / name, content)
        inside = [_told(one, None) for one in made]
        written.append({"file": str(out / name), "sha256": _sha256(content), "bytes": len(content), "members": inside})
    else:
        for one in made:
            _write(out / one.name, one.content)
            written.append(_told(one, out))
    if as_json:
        print_json({"month": month, "format": form, "files": written})
        return
    columns = ("file", "department", "content_hash", "bytes")
    print_rows(columns, [[one.get(name, "") for name in columns] for one in written], right=("bytes",))


@statement.command("verify")
@click.argument("file", type=ExistingFile())
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def statement_verify(ctx: Context, file: Path, as_json: bool) -> None:
    """Whether FILE (PDF, XLSX, CSV, JSON, or a zip of them) says what the ledger says; exit 7 if not, 4 if unknown."""
    from billing.outputs.held_months import HeldMonths
    from billing.outputs.verifying import verify
    from billing.store import snapshot

    if file.stat().st_size > FILE_BYTES_MAX:
        raise UsageError(f"{str(file)!r} is larger than {FILE_BYTES_MAX // 2**20} MiB: no statement is")
    raw = file.read_bytes()
    with refusals(), ctx.engine("reader") as engine, snapshot(engine) as connection:
        verdicts = verify(file.name, raw, HeldMonths(connection, ctx.policy))
    differing = [one for one in verdicts if one.answer == "differs"]
    unknown = [one for one in verdicts if one.answer == "unknown"]
    answer = "differs" if differing else "unknown" if unknown or not verdicts else "agrees"
    if as_json:
        print_json({"file": str(file), "answer": answer, "statements": [asdict(one) for one in verdicts]})
    else:
        for one in verdicts:
            _say(one)
    if differing:
        raise LawViolatedError(f"{file.name} differs from the ledger: what its reader holds is not what is booked")
    if not verdicts:
        raise NotFoundError(f"{file.name} holds no file: there is nothing to verify in it")
    if answer == "unknown":
        raise NotFoundError(f"the ledger has no statement that {file.name} could be: check the month and the settings")


def _made(
    ctx: Context, month: str, forms: list[Form], language: Language | None, department: str | None
) -> tuple[int, Iterator[MadeFile]]:
    """(how many files, the files as they are made), from one state of the database."""
    from billing.outputs.besides import read_besides
    from billing.outputs.month_files import Wanted, month_files
    from billing.periods import month_in
    from billing.statement_document import read_month
    from billing.store import snapshot
    from jangbu.keeping import keeper_of
    from jangbu.languages import chosen

    policy = ctx.policy
    month_in(month, policy.zone)
    with ctx.engine("reader") as engine, snapshot(engine) as connection:
        whole, documents = read_month(connection, month, policy, keeper_of(ctx))
        beside, beside_whole = read_besides(connection, month, policy, documents)
    wanted = Wanted(chosen(language), ctx.settings.organisation or "", beside, beside_whole)
    is_wanted = _chooser(department, [document["department"] for document in documents], month)
    count = len(forms) * (len(documents) + 1 if department is None else 1)
    return count, month_files(documents, whole, forms, wanted, is_wanted)


def _chooser(department: str | None, codes: Sequence[str | None], month: str) -> Any:
    """Which files are made: (kind, code) -> whether. Raises NotFoundError for a department without a statement."""
    if department is None:
        return lambda _kind, _code: True
    if department in codes:
        return lambda kind, code: (kind, code) == ("department", department)
    if department == ORGANISATION:
        return lambda kind, _code: kind == "organisation"
    if department == UNATTRIBUTED and None in codes:
        return lambda kind, code: (kind, code) == ("department", None)
    raise NotFoundError(
        f"department is {department!r}: it has no statement of {month}; `jangbu statement list {month}` names those"
    )


def _make_directory(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out is {str(out)!r}: no directory can be made there ({error.strerror})") from error


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all: a reader never sees half a file."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        raise UsageError(f"{str(path)!r} cannot be written ({error.strerror}): choose another --out") from error


def _told(one: MadeFile, directory: Path | None) -> dict[str, Any]:
    return {
        "file": one.name if directory is None else str(directory / one.name),
        "kind": one.kind,
        "department": one.department,
        "content_hash": one.content_hash,
        "sha256": _sha256(one.content),
        "bytes": len(one.content),
    }


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _say(one: Verdict) -> None:
    whose = f"{one.month} {one.department}".strip()
    click.echo(safe_text(f"{one.file}: {one.answer} ({whose}; compared: {', '.join(one.checked) or 'nothing'})"))
    for difference in one.differences:
        click.echo(
            safe_text(
                f"  {difference.where}, {difference.figure}: file {difference.file!r}, ledger {difference.ledger!r}"
            )
        )
    if one.note:
        click.echo(safe_text(f"  {one.note}"))
