"""The house of the month stories."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.scenarios.house import House

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jangbu.services.postgres import DatabaseUrls


@pytest.fixture
def house(migrated_database: DatabaseUrls) -> Iterator[House]:
    """An organisation in Seoul that books in won."""
    found = House(migrated_database)
    yield found
    found.close()
