"""`make screenshots`: runs `jangbu demo` in a terminal of 100 columns and pictures what it printed, in each language.

Writes docs/terminal-en.svg and docs/terminal-ko.svg. The picture is the program's own output, sign by sign; it names no
font of others, so that a browser fetches nothing.
"""

from __future__ import annotations

import argparse
import io
import os
import pty
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

CHECKOUT = Path(__file__).resolve().parents[2]
JANGBU = Path(sys.executable).with_name("jangbu")
COLUMNS = 100
DEMO_SECONDS_MAX = 900
PICTURE = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: "DejaVu Sans Mono", "D2Coding", "Noto Sans Mono CJK KR", Menlo, Consolas, monospace;
  font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g></g></svg>
"""
"""Rich's own frame without the fonts that it would fetch."""


def run_in_terminal(command: list[str], directory: str) -> str:
    """Standard output of a command that believes it writes to a terminal; standard error passes by."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": "60", "COLORTERM": ""}
    process = subprocess.Popen(command, cwd=directory, stdout=theirs, env=environment)
    os.close(theirs)
    received = io.BytesIO()

    def read() -> None:
        while True:
            try:
                part = os.read(ours, 65_536)
            except OSError:  # Linux says so when the last writer has closed
                return
            if not part:
                return
            received.write(part)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        code = process.wait(DEMO_SECONDS_MAX)
    finally:
        process.kill()
    reader.join(10)
    os.close(ours)
    if code:
        raise SystemExit(f"screenshots: {' '.join(command)} ended with {code}")
    return received.getvalue().decode()


def picture(output: str, title: str) -> str:
    """The output of a terminal as SVG."""
    console = Console(width=COLUMNS, record=True, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    for line in output.replace("\r\n", "\n").rstrip().split("\n"):
        console.print(Text.from_ansi(line.rstrip()), no_wrap=True, overflow="ignore", crop=False)
    svg = console.export_svg(title=title, theme=MONOKAI, code_format=PICTURE, unique_id="jangbu")
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def main() -> None:
    """Picture a demo in each language asked for."""
    parser = argparse.ArgumentParser(description="Pictures of the demo's screen.")
    parser.add_argument("--lang", action="append", choices=["en", "ko"], help="default: both")
    parser.add_argument("--out", type=Path, default=CHECKOUT / "docs")
    options, more = parser.parse_known_args()
    for language in options.lang or ["en", "ko"]:
        with tempfile.TemporaryDirectory() as directory:
            output = run_in_terminal([str(JANGBU), "demo", "--lang", language, *more], directory)
        file = options.out / f"terminal-{language}.svg"
        file.write_text(picture(output, "make demo"), encoding="utf-8")
        sys.stderr.write(f"screenshots: {file}\n")


if __name__ == "__main__":
    main()
