"""REQUIRE_SERVICES=1 turns a skip into a failure; without it a skip stays one."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"
SKIPPING = """
import pytest

@pytest.mark.skip(reason="no broker here")
def test_marked(): ...

def test_inside():
    pytest.skip("no database here")

@pytest.mark.xfail(reason="known", strict=True)
def test_known():
    assert False

def test_plain(): ...
"""
SKIPPING_MODULE = 'import pytest\npytest.skip("no docker here", allow_module_level=True)\n'


@pytest.mark.parametrize(
    ("content", "plain", "required"),
    [
        # pytest counts a skip by mark in the set-up of a test, where a failure is called an error.
        (SKIPPING, {"passed": 1, "skipped": 2, "xfailed": 1}, {"passed": 1, "failed": 1, "error": 1, "xfailed": 1}),
        (SKIPPING_MODULE, {"skipped": 1}, {"error": 1}),
    ],
    ids=["tests", "module"],
)
def test_a_skip_fails_where_services_are_required(
    tmp_path: Path, content: str, plain: dict[str, int], required: dict[str, int]
) -> None:
    assert _outcomes(tmp_path, content, "") == plain
    assert _outcomes(tmp_path, content, "1") == required


def _outcomes(directory: Path, content: str, require: str) -> dict[str, int]:
    """Run a suite of one file with our conftest; the counts of pytest's last line."""
    (directory / "conftest.py").write_text(CONFTEST.read_text(encoding="utf-8"), encoding="utf-8")
    (directory / "test_planted.py").write_text(content, encoding="utf-8")
    (directory / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", str(directory)],
        cwd=directory,
        env={**os.environ, "REQUIRE_SERVICES": require, "PYTHONPATH": str(CONFTEST.parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    last = done.stdout.strip().splitlines()[-1]
    return {word: int(count) for count, word in re.findall(r"(\d+) (passed|failed|skipped|xfailed|error)", last)}
