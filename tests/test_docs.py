"""Documents say what is there: every command of the README runs, every command, option and setting is documented."""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
import pytest

from jangbu import errors
from jangbu.cli import FLAGS, cli, settings_first
from jangbu.services.ports import free_port
from jangbu.settings import OTHER_VARIABLES, SPECS

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKOUT = Path(__file__).resolve().parents[1]
JANGBU = Path(sys.executable).with_name("jangbu")
READMES = ("README.md", "README.ko.md")
PAGES = sorted((CHECKOUT / "docs").glob("*.md"))
COMMAND_SECONDS_MAX = 120
UP_SECONDS_MAX = 90
ENDS_WITH = {"reconcile --vendor openai --month 2026-10": 6}
"""README commands that end with another code than 0, as the README says."""
ELSEWHERE = {
    "make demo": "tests/e2e/test_demo.py",
    "make test": ".ci/run",
    "make services": "tests/integration/test_service_scripts.py",
    "make services-down": "tests/integration/test_service_scripts.py",
    "docker compose up": "tests/docker/test_compose.py",
    "docker compose run": "tests/docker/test_compose.py",
    "cp .env.example .env": "tests/docker/test_image_files.py",
}
"""README commands that another test runs, by how they begin, and the file of that test."""


class Line(NamedTuple):
    """One command of a console block."""

    page: str
    text: str

    @property
    def jangbu(self) -> str | None:
        """What stands behind `jangbu`, if this is our command."""
        name, _, rest = self.text.partition(" ")
        return rest if name.rpartition("/")[2] == "jangbu" else None


def console_lines(page: str) -> list[Line]:
    """The commands in the console blocks of a page, in order."""
    text = (CHECKOUT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [Line(page, line.removeprefix("$ ")) for block in blocks for line in block.splitlines() if line[:2] == "$ "]


def commands(group: click.Group = cli, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that can be run, with its words."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, f"{name} is listed and cannot be loaded"
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


def sections() -> dict[str, str]:
    """docs/commands.md by its headings of commands."""
    text = (CHECKOUT / "docs/commands.md").read_text(encoding="utf-8")
    parts = re.split(r"^#{2,3} (.*)$", text, flags=re.MULTILINE)
    return {head.strip("`"): body for head, body in zip(parts[1::2], parts[2::2], strict=True)}


def undocumented(command: click.Command, section: str) -> list[str]:
    """Options of a command that its section does not name."""
    options = [name for option in command.params if isinstance(option, click.Option) for name in option.opts]
    return [name for name in options if name.startswith("--") and f"`{name}" not in section]


def parse(words: list[str]) -> None:
    """Read a command line as the program would, and run nothing. Raises click's exceptions where it is wrong."""
    command: click.Command = cli
    context, rest = click.Context(cli), settings_first(words)
    while isinstance(command, click.Group):
        _, rest, _ = command.make_parser(context).parse_args(args=list(rest))
        name, found, rest = command.resolve_command(context, rest)
        assert found is not None
        context, command = click.Context(found, info_name=name, parent=context), found
    command.parse_args(context, list(rest))


class Shell:
    """Runs README commands one after the other, in a directory that looks like a clone."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(directory),
            "LANG": "C.UTF-8",
            # The examples stay where they are while time goes on.
            "JANGBU_MAX_EVENT_BACK_DAYS": "36600",
            "JANGBU_PORT": str(free_port()),
        }

    def run(self, text: str) -> subprocess.CompletedProcess[str]:
        """A command of ours; standard input is empty, so that nothing asks."""
        command = [str(JANGBU), *shlex.split(text)]
        return subprocess.run(
            command,
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS_MAX,
            check=False,
        )


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A directory with the examples in it, and `jangbu up` running there, as the README has it."""
    directory = tmp_path_factory.mktemp("clone")
    shutil.copytree(CHECKOUT / "docs/examples", directory / "docs/examples")
    made = Shell(directory)
    log = directory / "up.log"
    with log.open("wb") as output:
        up = subprocess.Popen([str(JANGBU), "up"], cwd=directory, env=made.environment, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + UP_SECONDS_MAX
        while "jangbu is up" not in log.read_text():
            assert up.poll() is None, log.read_text()
            assert time.monotonic() < deadline, f"`jangbu up` is not up:\n{log.read_text()}"
            time.sleep(0.2)
        yield made
    finally:
        up.send_signal(signal.SIGTERM)
        try:
            up.wait(60)
        except subprocess.TimeoutExpired:
            up.kill()
            raise


def test_both_readmes_hold_the_same_commands() -> None:
    english, korean = ([line.text for line in console_lines(page)] for page in READMES)
    assert english == korean
    assert len(english) > 20, "the console blocks were not found"


@pytest.mark.postgres
@pytest.mark.timeout(600)
def test_every_jangbu_command_of_the_readme_runs(shell: Shell) -> None:
    """In the README's order, on one data directory, which stands for the demo's too; `up` runs them in the background
    and `worker` is one of its children."""
    ran = []
    lines = sorted(console_lines("README.md"), key=lambda line: "jangbu-demo/data" in line.text)
    for line in lines:
        text = line.jangbu
        if text in (None, "up", "worker"):
            continue
        assert text is not None
        text = text.replace("jangbu-demo/data", ".jangbu")
        done = shell.run(text)
        assert done.returncode == ENDS_WITH.get(text, 0), f"jangbu {text}: {done.stdout}{done.stderr}"
        ran.append(text)
    assert set(ENDS_WITH) <= set(ran)

    told = shell.run("reconcile --vendor openai --month 2026-10 --json").stdout
    assert '"difference": "0"' in told
    assert {found for found in ("BYPASS", "PRICE") if f'"class": "{found}"' in told} == {"BYPASS", "PRICE"}
    refused = list((shell.directory / ".jangbu/rejects").glob("usage.ndjson.*"))
    assert len(refused) == 1, "the example with a negative count is the one that is refused"


def test_every_other_command_of_the_readme_is_a_target_or_run_elsewhere() -> None:
    """`make` targets exist; what is too large for here is run by the test that is named, which exists."""
    for line in console_lines("README.md"):
        if line.jangbu is not None or line.text.startswith("export "):
            continue
        elsewhere = [file for begin, file in ELSEWHERE.items() if line.text.startswith(begin)]
        assert all((CHECKOUT / file).is_file() for file in elsewhere), line
        if line.text.startswith("make "):
            command = ["make", "-n", *line.text.split()[1:]]
            done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, check=False)
            assert done.returncode == 0, done.stderr.decode()
        else:
            assert elsewhere or line.text.startswith("git clone "), f"no test runs `{line.text}`"


def test_a_clone_begins_as_the_readme_says(tmp_path: Path) -> None:
    """`git clone REPOSITORY jangbu && cd jangbu`, with this repository as the address."""
    (line,) = [line.text for line in console_lines("README.md") if line.text.startswith("git clone ")]
    script = line.replace("REPOSITORY", shlex.quote(str(CHECKOUT))) + " && make && test -f docs/examples/usage.ndjson"
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "make demo" in done.stdout


def test_settings_exported_in_the_readme_are_settings() -> None:
    exported = [line.text for line in console_lines("README.md") if line.text.startswith("export ")]
    names = [pair.partition("=")[0] for line in exported for pair in line.split()[1:]]
    assert names
    assert set(names) <= {spec.variable for spec in SPECS}


@pytest.mark.parametrize("page", [*READMES, *(f"docs/{page.name}" for page in PAGES)])
def test_every_command_line_on_a_page_can_be_read(page: str) -> None:
    for line in console_lines(page):
        if line.jangbu is not None:
            parse(shlex.split(line.jangbu))


def test_a_planted_wrong_command_is_found() -> None:
    with pytest.raises(click.UsageError):
        parse(["usage", "--mouth", "2026-10"])
    with pytest.raises(click.UsageError):
        parse(["statement", "close", "2026-10"])


def test_links_lead_somewhere() -> None:
    pages = [CHECKOUT / page for page in (*READMES, "DECISIONS.md", "CHANGELOG.md")] + PAGES
    for page in pages:
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
            assert "://" in target or (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_story_named_is_told() -> None:
    """tests/README.md says which test tells which story of a month."""
    page = (CHECKOUT / "tests/README.md").read_text(encoding="utf-8")
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", page)
    assert len(named) >= 14
    for file, test in named:
        assert f"def {test}(" in (CHECKOUT / "tests/scenarios" / file).read_text(encoding="utf-8"), test


def test_every_command_and_option_is_documented() -> None:
    known = sections()
    missing = {}
    for path, command in commands():
        head = f"jangbu {' '.join(path)}"
        assert head in known, f"docs/commands.md has no section `{head}`"
        if left := undocumented(command, known[head]):
            missing[head] = left
    assert not missing


def test_nothing_is_documented_that_is_not_there() -> None:
    there = {f"jangbu {' '.join(path)}" for path, _ in commands()}
    assert {head for head in sections() if head.startswith("jangbu ")} == there
    for path, command in commands():
        named = set(re.findall(r"`(--[a-z-]+)", sections()[f"jangbu {' '.join(path)}"]))
        options = {name for option in command.params for name in [*option.opts, *option.secondary_opts]}
        assert named <= options | set(FLAGS), f"jangbu {' '.join(path)}"


def test_a_planted_undocumented_option_is_found() -> None:
    command = click.Command("x", params=[click.Option(["--new"]), click.Option(["--old"])])
    assert undocumented(command, "`--old` is known, --new is named in passing") == ["--new"]


def test_every_setting_is_documented() -> None:
    page = (CHECKOUT / "docs/settings.md").read_text(encoding="utf-8")
    rows = {row[0]: row for row in re.findall(r"^\| `(JANGBU_\w+)`.*?\| `(\w+)`.*?\| (.*?) \|", page, re.MULTILINE)}
    for spec in SPECS:
        assert spec.variable in rows, f"docs/settings.md does not name {spec.variable}"
        assert rows[spec.variable][1] == spec.name
        if spec.default is not None:
            assert rows[spec.variable][2].strip("`") == spec.default, spec.variable
    assert set(rows) == {spec.variable for spec in SPECS}
    for name in OTHER_VARIABLES:
        assert f"`{name}" in page, name
    for flag, name in FLAGS.items():
        assert flag in page, (flag, name)


def test_every_exit_code_is_documented() -> None:
    page = sections()["Exit codes"]
    documented = {int(code) for code in re.findall(r"^\| ([0-9]+) \|", page, re.MULTILINE)}
    ours = {kind.exit_code for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "exit_code")}
    assert documented == ours | {0} == set(range(8))


def test_every_refusal_code_is_documented() -> None:
    """Codes are those that the source gives to EventRefused, and those that only quarantine knows."""
    page = (CHECKOUT / "docs/events.md").read_text(encoding="utf-8")
    sources = [*(CHECKOUT / "producers").rglob("*.py"), *(CHECKOUT / "streams").rglob("*.py")]
    texts = [file.read_text(encoding="utf-8") for file in sources]
    found = {code for text in texts for code in re.findall(r"EventRefused\(\s*\"([a-z_]+)\"", text)}
    assert len(found) > 8
    found |= {"conflict", "duplicate_other_time"}
    assert {code for code in found if f"`{code}`" not in page} == set()
