"""Commands run in this process against a database of a test's own: for the tests of what a person types."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from jangbu.cli import main
from tests.scenarios.house import House

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

    from jangbu.services.postgres import DatabaseUrls


class CommandShell:
    """Runs commands. `run` returns (exit code, stdout, stderr)."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def run(self, *words: object) -> tuple[int, str, str]:
        self._capsys.readouterr()
        try:
            main([str(word) for word in words])
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
        out, err = self._capsys.readouterr()
        return code, out, err

    def json(self, *words: object, code: int = 0) -> Any:
        ended, out, err = self.run(*words, "--json")
        assert ended == code, err
        return json.loads(out)


def environment(urls: DatabaseUrls) -> dict[str, str]:
    """The settings by which a command finds a database."""
    return {
        "JANGBU_DATABASE_URL" + ("" if role == "owner" else f"_{role.upper()}"): url
        for role, url in urls.as_dict().items()
    }


def use_database(urls: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    """Commands run from now on in `directory` and with these logins."""
    monkeypatch.chdir(directory)
    for name, value in environment(urls).items():
        monkeypatch.setenv(name, value)


def house_on(urls: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, directory: Path) -> Iterator[House]:
    """A house on this database, which commands use too; closed at the end."""
    use_database(urls, monkeypatch, directory)
    house = House(urls)
    yield house
    house.close()
