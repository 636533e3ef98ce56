"""`make screenshots`: pictures every page of a demo's books, as docs/pages/*.png, and writes docs/pages/README.md.

Every page of the application's own list, in English; the main ones in Korean, dark, and on a phone too.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image
from playwright.sync_api import sync_playwright

from jangbu.web.pages import REGISTERED
from jangbu.web.views import View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

CHECKOUT = Path(__file__).resolve().parents[2]
JANGBU = Path(sys.executable).with_name("jangbu")
PICTURES = CHECKOUT / "docs" / "pages"
MONTH = "2026-10"
START_SECONDS_MAX = 600
WIDE, TALL, PHONE = 1280, 900, 360
COLOURS = 64
MAIN = ("/", "/usage", f"/departments/{{department}}?month={MONTH}", f"/month-end/{MONTH}",
        f"/reconciliation/openai/{MONTH}")  # fmt: skip


class Site(NamedTuple):
    """A demo that serves."""

    address: str
    password: str


def main() -> int:
    """Make all pictures anew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", default="600")
    parser.add_argument("--events", default="20000")
    options = parser.parse_args()
    shutil.rmtree(PICTURES, ignore_errors=True)
    PICTURES.mkdir(parents=True)
    with demo(options.users, options.events) as site, sync_playwright() as playwright:
        program = shutil.which("chromium")
        arguments = ["--no-sandbox"] if os.getuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        department = picture_all(browser, site)
        for path in MAIN:
            path = path.format(department=department)
            take(browser, site, path, name_of(path) + "-ko", locale="ko-KR")
            take(browser, site, path, name_of(path) + "-dark", color_scheme="dark")
            take(browser, site, path, name_of(path) + "-phone", width=PHONE, locale="ko-KR")
        take(browser, site, "/me", "me", user="employee")
        browser.close()
    index()
    return 0


@contextmanager
def demo(users: str, events: str) -> Iterator[Site]:
    """`jangbu demo --serve` until the block ends."""
    with tempfile.TemporaryDirectory(prefix="jangbu-pictures-") as directory:
        command = [str(JANGBU), "demo", "--dir", f"{directory}/demo", "--month", MONTH, "--lang", "en", "--serve",
                   "--users", users, "--events", events]  # fmt: skip
        log = Path(directory) / "log"
        with log.open("wb") as target:
            process = subprocess.Popen(command, stdout=target, stderr=subprocess.STDOUT)
        try:
            deadline = time.monotonic() + START_SECONDS_MAX
            while "jangbu serves on" not in log.read_text(errors="replace"):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"the demo does not serve:\n{log.read_text(errors='replace')}")
                time.sleep(0.5)
            told = re.search(r"Pages: (\S+) .* password (\S+)\.", log.read_text())
            assert told is not None
            yield Site(told[1], told[2])
        finally:
            process.terminate()
            process.wait(60)


def picture_all(browser: Browser, site: Site) -> str:
    """Every page that can be named; the department that has the largest statement."""
    page = signed_in(browser, site, "finance")
    known = {"month": MONTH, "vendor": "openai"}
    found = json.loads(page.evaluate(f"fetch('/api/v1/departments?month={MONTH}').then(answer => answer.text())"))
    rows = [row for row in found["departments"] if row["department"]]
    known["department"] = max(rows, key=lambda row: float(row["total"] or 0))["department"]
    for view in (one for one in REGISTERED if isinstance(one, View) and one.path != "/me"):
        names = re.findall(r"\{(\w+)(?::\w+)?\}", view.path)
        if set(names) <= set(known):
            path = re.sub(r"\{(\w+)(?::\w+)?\}", lambda hit: known[hit[1]], view.path)
            if any(parameter.name == "month" for parameter in view.parameters):
                path += f"?month={MONTH}"
            shoot(page, site, path, name_of(path))
    page.context.close()
    return known["department"]


def name_of(path: str) -> str:
    """A file's name for a page."""
    return re.sub(r"[^a-z0-9]+", "-", path.partition("?")[0].lower()).strip("-") or "overview"


def take(browser: Browser, site: Site, path: str, name: str, *, user: str = "finance", width: int = WIDE,
         **options: str) -> None:  # fmt: skip
    """One page in a window of its own."""
    page = signed_in(browser, site, user, width, **options)
    shoot(page, site, path, name)
    page.context.close()


def signed_in(browser: Browser, site: Site, user: str, width: int = WIDE, **options: str) -> Page:
    """A page whose session is a demo account's."""
    given = {"locale": "en-US", **options}
    context = browser.new_context(viewport={"width": width, "height": TALL}, **given)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(f"{site.address}/sign-in")
    page.fill("[name=name]", user)
    page.fill("[name=password]", site.password)
    page.click("main button[type=submit]")
    return page


def shoot(page: Page, site: Site, path: str, name: str) -> None:
    """Picture what stands in the window. A page that does not answer 200 ends the run: a picture of it would lie."""
    answer = page.goto(site.address + path)
    if answer is None or answer.status != 200:
        raise SystemExit(f"{path} answered {None if answer is None else answer.status}")
    picture = Image.open(io.BytesIO(page.screenshot()))
    picture.quantize(COLOURS).save(PICTURES / f"{name}.png", optimize=True)
    print(name, file=sys.stderr, flush=True)


def index() -> None:
    """The list of pictures."""
    names = sorted(file.stem for file in PICTURES.glob("*.png"))
    lines = ["# Pictures of the pages", "", "`make screenshots` made them from a demo's books.", ""]
    lines += [f"![{name}]({name}.png)\n" for name in names]
    (PICTURES / "README.md").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
