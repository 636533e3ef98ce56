"""`make screenshots`, second half: a statement of a small demo as the files and pictures that docs/ shows.

Everything goes through commands, in a directory that is thrown away: a demo of 200 people, a tax on its vendor, a
shared cost, a budget; then `statement export`. Writes docs/example-statement.pdf, .xlsx
and docs/statement-ko.png, -en.png; and, where LibreOffice and poppler are installed, the workbook's first sheet as both
show it, docs/workbook-ko.png, -en.png.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from billing.outputs.pdf import read_recipe, statement_pictures
from billing.outputs.texts import Language

CHECKOUT = Path(__file__).resolve().parents[2]
JANGBU = Path(sys.executable).with_name("jangbu")
MONTH, DEPARTMENT, ORGANISATION = "2026-10", "D002", "가온시"
SECONDS_MAX = 900
LANGUAGES: tuple[Language, ...] = ("ko", "en")
FILES = {
    "vendor": "vendor,creditor,providers,currency,tax_mode,tax_rate\nopenai,OpenAI,openai,USD,vendor_charged,0.1\n",
    "allocation": "rule,pool,amount,currency,basis,valid_from,source\n"
    "gateway,fixed,300000,KRW,users,2026-01,operating plan 2026\n",
    "budget": f"department,period,amount,currency\n{DEPARTMENT},{MONTH},20000,KRW\n",
}


def run(directory: Path, *words: str) -> str:
    """A command of ours on the demo's data; its standard output."""
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(directory), "LANG": "C.UTF-8",
                   "JANGBU_ORGANISATION": ORGANISATION}  # fmt: skip
    done = subprocess.run(
        [str(JANGBU), *words], cwd=directory, env=environment, stdout=subprocess.PIPE, timeout=SECONDS_MAX, check=False
    )
    if done.returncode:
        raise SystemExit(f"example: jangbu {' '.join(words)} ended with {done.returncode}")
    return done.stdout.decode()


def picture_workbook(workbook: Path, picture: Path) -> None:
    """The first sheet of a workbook, as LibreOffice prints it; nothing where it cannot be had."""
    office, poppler = shutil.which("soffice"), shutil.which("pdftoppm")
    if office is None or poppler is None:
        sys.stderr.write(f"example: no {picture.name}: LibreOffice Calc and poppler are not installed\n")
        return
    directory = workbook.parent
    home = f"-env:UserInstallation={(directory / 'profile').as_uri()}"
    convert = [office, home, "--headless", "--convert-to", "pdf", "--outdir", str(directory), str(workbook)]
    page = [poppler, "-png", "-r", "90", "-f", "1", "-l", "1", "-singlefile", str(workbook.with_suffix(".pdf"))]
    for command in (convert, [*page, str(picture.with_suffix(""))]):
        subprocess.run(command, check=True, capture_output=True, timeout=SECONDS_MAX)
    sys.stderr.write(f"example: {picture}\n")


def main() -> None:
    """Make the files and the pictures."""
    parser = argparse.ArgumentParser(description="The example statement of docs/.")
    parser.add_argument("--out", type=Path, default=CHECKOUT / "docs")
    out: Path = parser.parse_args().out.resolve()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        run(directory, "demo", "--dir", "demo", "--users", "200", "--events", "4000", "--no-serve")
        data = ("--data-dir", "demo/data")
        for command, text in FILES.items():
            file = directory / f"{command}.csv"
            file.write_text(text, encoding="utf-8")
            run(directory, command, "import", str(file), *data)
        asked = ("statement", "export", MONTH, "--department", DEPARTMENT, "--lang", "ko", "--out", "made", *data)
        for form in ("pdf", "xlsx"):
            run(directory, *asked, "--format", form)
            content = (directory / f"made/{MONTH}-department-{DEPARTMENT}.{form}").read_bytes()
            (out / f"example-statement.{form}").write_bytes(content)
        for language in LANGUAGES:
            told = ("--department", DEPARTMENT, "--lang", language, "--format", "xlsx", "--out", language)
            run(directory, "statement", "export", MONTH, *told, *data)
            workbook = directory / language / f"{MONTH}-department-{DEPARTMENT}.xlsx"
            picture_workbook(workbook, out / f"workbook-{language}.png")
        document = json.loads(run(directory, "statement", "show", MONTH, DEPARTMENT, "--json", *data))
    recipe = read_recipe((out / "example-statement.pdf").read_bytes())
    assert recipe is not None
    for language in LANGUAGES:
        shown = replace(recipe, language=language)
        (out / f"statement-{language}.png").write_bytes(statement_pictures(document, shown)[0])
        sys.stderr.write(f"example: {out / f'statement-{language}.png'}\n")


if __name__ == "__main__":
    main()
