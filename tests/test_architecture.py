"""The walls of the house: who may import whom, where floats and Python may not be. Each rule rejects a planted break.

Source of the rules: pyproject.toml (import-linter), DECISIONS.md ("The house").
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
PACKAGES = ("producers", "streams", "billing", "jangbu")
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")
FLOAT_NAMES = frozenset({"float", "float16", "float32", "float64", "double", "Float", "Double", "REAL"})
"""How floats are called in Python, NumPy, Arrow and SQLAlchemy."""
GATEWAY_MODULES = frozenset({"confluent_kafka", "kafka", "msgspec", "zstandard", "producers"})
"""What a gateway's process has (pyproject.toml, `dependencies`): no Faust, no database."""


def lint_imports(directory: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on the packages in `directory`."""
    environment = {**os.environ, "PYTHONPATH": str(directory)}
    command = [str(LINT_IMPORTS), "--no-cache", "--config", str(directory / "pyproject.toml")]
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)


def imported_modules(code: str) -> set[str]:
    """The first part of every module that `code` imports, wherever the import stands in it."""
    found = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def floats_in(code: str) -> list[str]:
    """Where `code` makes or names a float: literals, the type, and names of float columns."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Constant) and isinstance(node.value, (float, complex)):
            found.append(f"line {node.lineno}: the literal {node.value!r}")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in FLOAT_NAMES:
            found.append(f"line {node.lineno}: the text {node.value!r}")
        elif isinstance(node, ast.Name) and node.id in FLOAT_NAMES:
            found.append(f"line {node.lineno}: the name {node.id}")
        elif isinstance(node, ast.Attribute) and node.attr in FLOAT_NAMES:
            found.append(f"line {node.lineno}: the attribute {node.attr}")
    return found


def modules(package: str) -> list[Path]:
    """Every Python file of a package."""
    found = sorted((CHECKOUT / package).rglob("*.py"))
    assert found, f"{package} holds no Python: was it moved?"
    return found


@pytest.fixture
def copied_house(tmp_path: Path) -> Path:
    """The packages and the rules in a directory of their own, to plant breaks in."""
    for package in PACKAGES:
        shutil.copytree(CHECKOUT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(CHECKOUT / "pyproject.toml", tmp_path)
    return tmp_path


def test_imports_go_one_way() -> None:
    done = lint_imports(CHECKOUT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "planted", "contract"),
    [
        ("billing/money.py", "import streams.sink", "streams and billing meet in sql/ only"),
        ("streams/chunk.py", "from billing import money", "streams and billing meet in sql/ only"),
        ("producers/units.py", "import jangbu.settings", "imports go one way"),
        ("producers/contract.py", "def later():\n    from streams import rows", "imports go one way"),
        ("streams/rows.py", "from jangbu import errors", "imports go one way"),
    ],
)
def test_a_planted_bad_import_is_rejected(copied_house: Path, module: str, planted: str, contract: str) -> None:
    file = copied_house / module
    file.write_text(f"{file.read_text()}\n\n{planted}\n")
    done = lint_imports(copied_house)
    assert done.returncode == 1, done.stdout + done.stderr
    broken = [line for line in done.stdout.splitlines() if "BROKEN" in line]
    assert any(line.startswith(contract) for line in broken), done.stdout


def test_the_copied_house_is_sound(copied_house: Path) -> None:
    """Otherwise the planted imports above would prove nothing."""
    done = lint_imports(copied_house)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("package", "other"), [("streams", "billing"), ("billing", "streams")])
def test_streams_and_billing_do_not_know_each_other(package: str, other: str) -> None:
    """Read without import-linter, so that a mistake in its settings shows."""
    for file in modules(package):
        assert not imported_modules(file.read_text()) & {other, "jangbu"}, file


def test_money_is_never_a_float() -> None:
    found = {str(file.relative_to(CHECKOUT)): floats_in(file.read_text()) for file in modules("billing")}
    assert not {file: places for file, places in found.items() if places}


@pytest.mark.parametrize(
    "planted",
    ["share = 0.1", "total = float('0.1')", "amount: float = 1", "frame.astype('float64')", "pyarrow.float64()", "1e3"],
)
def test_a_planted_float_is_found(planted: str) -> None:
    assert floats_in(f"from decimal import Decimal\n\n\ndef cost():\n    {planted}\n")


@pytest.mark.parametrize("sound", ["Decimal('0.1')", "1_000", "'a float in a sentence'", "True"])
def test_what_is_no_float_is_let_pass(sound: str) -> None:
    assert floats_in(f"value = {sound}") == []


def test_what_a_gateway_loads_brings_neither_faust_nor_a_database() -> None:
    """`pip install jangbu` alone must be able to import all of producers."""
    allowed = sys.stdlib_module_names | GATEWAY_MODULES
    for file in modules("producers"):
        assert imported_modules(file.read_text()) <= allowed, file


def test_sql_is_sql() -> None:
    """No Python package named sql: other distributions install one, and would overwrite it."""
    kinds = {file.suffix for file in (CHECKOUT / "sql").rglob("*") if file.is_file()}
    assert kinds <= {".sql", ".md"}


def test_migrations_and_their_revisions_belong_together() -> None:
    """sql/migrations/NNNN.sql is run by jangbu/migrations/versions/NNNN.py, without a gap."""
    statements = sorted(file.stem for file in (CHECKOUT / "sql/migrations").glob("*.sql"))
    revisions = sorted(file.stem for file in (CHECKOUT / "jangbu/migrations/versions").glob("*.py"))
    assert statements == revisions == [f"{number:04}" for number in range(1, len(statements) + 1)]


def test_the_wheel_carries_the_sql_as_data(tmp_path: Path) -> None:
    """Under jangbu/sql, never as a top-level `sql`; and nothing else at the top."""
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(CHECKOUT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)
    shipped = {name.removeprefix("jangbu/sql/") for name in names if name.startswith("jangbu/sql/")}
    kept = {file.relative_to(CHECKOUT / "sql").as_posix() for file in (CHECKOUT / "sql").rglob("*.*")}
    assert shipped == kept
