"""The habits that a machine can hold: one screen a function, one idea a module, nothing private in the repository.

Each rule is a function from a text to what is wrong with it, and each has a planted break that it must find.
"""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
FUNCTION_LINES_MAX = 70
MODULE_LINES_MAX = 500
NAMES_THAT_SAY_NOTHING = frozenset({"util", "utils", "helper", "helpers", "misc", "common", "stuff", "various"})
PLACEHOLDER = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b")
HOME = re.compile(r"(?<![\w.$}~])/(?:root|home/[a-z][\w-]*|Users/[A-Za-z][\w-]*)(?:/|\b)")
"""A home directory of one machine. `/home` alone, and homes made for users inside images, are none."""
URL_HOST = re.compile(r"\bhttps?://(?P<host>[A-Za-z0-9.-]+)")
HOSTS = frozenset(
    {
        # licences, schemas and namespaces
        "www.apache.org", "maven.apache.org", "www.w3.org", "schemas.openxmlformats.org",
        # in examples and in addresses that events carry
        "host", "localhost", "127.0.0.1", "gateway",
        "api.openai.com", "bedrock-runtime.eu-west-1.amazonaws.com", "us-central1-aiplatform.googleapis.com",
        # vendors' APIs that `invoice fetch` asks
        "api.anthropic.com", "openrouter.ai", "management-api.x.ai", "console.mistral.ai",
        # where facts and notices come from
        "github.com",
    }
)  # fmt: skip
"""Every host that a file may name. Addresses of package registries are the machine's business, not the project's."""
EXAMPLES = re.compile(r"(?:.+\.)?example(?:\.(?:com|net|org))?")
"""Names that belong to nobody, for examples (RFC 2606)."""
INDEX_OPTION = re.compile(r"^\s*(?:-i|--index-url|--extra-index-url|--find-links|registry\s*=)[ =]\S", re.MULTILINE)
SECRETS = {
    "private key": re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"),
    "cloud key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "code host token": re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,}|glpat-[\w-]{20,})"),
    "vendor key": re.compile(r"\bsk-(?:ant-|proj-)?[A-Za-z0-9_-]{32,}"),
    "chat token": re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10,}"),
    "password in an address": re.compile(r"postgres(?:ql)?://[a-z_]+:[A-Za-z0-9]{20,}@"),
}


def tracked(*patterns: str) -> list[Path]:
    """Files that are or would be committed."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    told = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert told.returncode == 0, f"this test asks git which files are kept, and git says: {told.stderr}"
    return [CHECKOUT / name for name in told.stdout.splitlines() if (CHECKOUT / name).is_file()]


def texts() -> list[tuple[str, str]]:
    """Name and text of each tracked file; files that are no UTF-8 are pictures and the like."""
    read = []
    for file in tracked():
        try:
            read.append((file.relative_to(CHECKOUT).as_posix(), file.read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            assert file.suffix in {".png", ".gz", ".zst", ".pdf", ".xlsx"}, f"{file} is neither a text nor a known kind"
    return read


def long_functions(code: str) -> list[str]:
    """Functions that do not fit one screen."""
    return [
        f"{node.name} has {lines} lines"
        for node in ast.walk(ast.parse(code))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES_MAX
    ]


def lines_of_module(code: str, *, tables_count: bool = True) -> int:
    """Lines of a module; in tests a table of cases at module level is data and does not count."""
    lines = len(code.splitlines())
    if tables_count:
        return lines
    tables = [node for node in ast.parse(code).body if isinstance(node, (ast.Assign, ast.AnnAssign))]
    return lines - sum((node.end_lineno or node.lineno) - node.lineno for node in tables)


def foreign_hosts(text: str) -> list[str]:
    """Hosts in addresses that stand on no list and are no examples."""
    found = [hit["host"].rstrip(".-") for hit in URL_HOST.finditer(text)]
    return [host for host in found if host not in HOSTS and not EXAMPLES.fullmatch(host)]


def machine_paths(text: str, checkout: Path = CHECKOUT) -> list[str]:
    """Places of one machine: its homes, and where this checkout lies."""
    found = [hit[0] for hit in HOME.finditer(text)]
    if len(checkout.parts) > 2:
        found += re.findall(rf"{re.escape(str(checkout))}\b", text)
    return found


def secrets_in(text: str) -> list[str]:
    """Kinds of secrets that `text` seems to hold."""
    return [kind for kind, pattern in SECRETS.items() if pattern.search(text)]


def test_functions_fit_one_screen() -> None:
    found = {str(file.relative_to(CHECKOUT)): long_functions(file.read_text()) for file in tracked("*.py")}
    assert not {file: functions for file, functions in found.items() if functions}


def test_modules_hold_one_idea() -> None:
    sizes = {
        name: lines_of_module(file.read_text(), tables_count=not name.startswith("tests/"))
        for file in tracked("*.py")
        for name in [file.relative_to(CHECKOUT).as_posix()]
    }
    assert not {name: lines for name, lines in sizes.items() if lines > MODULE_LINES_MAX}


def test_names_say_what_is_inside() -> None:
    said = {
        part.partition(".")[0]: name
        for file in tracked()
        for name in [file.relative_to(CHECKOUT).as_posix()]
        for part in name.split("/")
    }
    assert not {name for part, name in said.items() if NAMES_THAT_SAY_NOTHING & set(part.lower().split("_"))}


def test_nothing_is_left_for_later_in_silence() -> None:
    found = [name for name, text in texts() if name != "tests/test_tidy.py" and PLACEHOLDER.search(text)]
    assert not found, "say what is missing in CHANGELOG.md or do it"


def test_no_place_of_one_machine_is_named() -> None:
    found = {name: machine_paths(text) for name, text in texts() if name != "tests/test_tidy.py"}
    assert not {name: paths for name, paths in found.items() if paths}


def test_no_package_registry_is_named() -> None:
    found = {
        name: foreign_hosts(text) + INDEX_OPTION.findall(text)
        for name, text in texts()
        if name != "tests/test_tidy.py" and not name.startswith("tests/data/")
    }
    assert not {name: hosts for name, hosts in found.items() if hosts}


def test_no_secret_is_kept() -> None:
    found = {name: secrets_in(text) for name, text in texts() if name != "tests/test_tidy.py"}
    assert not {name: kinds for name, kinds in found.items() if kinds}


def test_every_package_says_what_it_owns() -> None:
    for package in ("producers", "streams", "sql", "billing", "jangbu", "tests"):
        text = (CHECKOUT / package / "README.md").read_text(encoding="utf-8").lower()
        assert re.search(r"\bowns\b", text), package
        assert re.search(r"\b(?:does not own|owns not)\b", text), package


def test_texts_end_with_a_line_and_have_no_blanks_behind() -> None:
    kinds = (".py", ".sql", ".md", ".toml", ".yml", ".sh", ".xml")
    wrong = [
        name
        for name, text in texts()
        if name.endswith(kinds) and text and (not text.endswith("\n") or re.search(r"[ \t]+$", text, re.MULTILINE))
    ]
    assert not wrong


def test_a_planted_long_function_is_found() -> None:
    body = "    pass\n" * (FUNCTION_LINES_MAX - 1)
    assert long_functions(f"def fits():\n{body}") == []
    assert long_functions(f"async def grown():\n{body}    pass\n") == ["grown has 71 lines"]


def test_a_planted_long_module_is_found() -> None:
    table = "CASES = [\n" + "    1,\n" * 600 + "]\n"
    assert lines_of_module(table) > MODULE_LINES_MAX
    assert lines_of_module(table, tables_count=False) == 1
    assert lines_of_module("def f(): pass\n" * 501, tables_count=False) > MODULE_LINES_MAX


@pytest.mark.parametrize(
    "planted", ["cd /root/project", "open('/home/kim/notes')", "/Users/kim/x", "see /srv/checkouts/jangbu/billing"]
)
def test_a_planted_machine_path_is_found(planted: str) -> None:
    assert machine_paths(planted, Path("/srv/checkouts/jangbu"))


@pytest.mark.parametrize("sound", ["~/root/x", "$HOME/x", "/var/lib/jangbu", "/home-page", "DATA_DIR/run"])
def test_what_is_no_machine_path_is_let_pass(sound: str) -> None:
    assert not machine_paths(sound, Path("/srv/checkouts/jangbu"))


def test_a_planted_registry_is_found() -> None:
    assert foreign_hosts("see https://packages.corp.invalid/simple for more") == ["packages.corp.invalid"]
    assert foreign_hosts("see https://example.org, https://door.example.org. or http://a.example/b") == []
    assert foreign_hosts("https://anexample.org https://example.org.kr") == ["anexample.org", "example.org.kr"]
    assert INDEX_OPTION.search("--index-url https://example.org/simple\n")


@pytest.mark.parametrize(
    ("kind", "planted"),
    [
        ("private key", "-----BEGIN RSA PRIVATE KEY-----"),
        ("cloud key", f"key = 'AKIA{'B' * 16}'"),
        ("code host token", f"ghp_{'a1' * 18}"),
        ("vendor key", f"sk-proj-{'a1' * 20}"),
        ("chat token", "xoxb-1234567890-abc"),
        ("password in an address", f"postgresql://jangbu:{'x9' * 12}@db/jangbu"),
    ],
)
def test_a_planted_secret_is_found(kind: str, planted: str) -> None:
    assert secrets_in(planted) == [kind]
