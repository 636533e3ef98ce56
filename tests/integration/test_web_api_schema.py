"""The API as its OpenAPI document describes it: made-up requests of every kind, sound and unsound, to each operation.

Nothing is a defect of ours (5xx), what is answered is what the document says, and what the document forbids is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from jangbu.web.openapi import openapi_document
from jangbu.web.pages import REGISTERED
from jangbu.web.signin import api_tokens
from tests.integration.test_web_rights import furnish
from tests.web_world import Web, running_web

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jangbu.services.postgres import EmbeddedPostgres

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 4
"""For each operation; with 40 it takes some minutes: for a change of what all operations share."""


@pytest.fixture(scope="module")
def web(
    postgres_server: EmbeddedPostgres, _migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Web]:
    with psycopg.connect(postgres_server.urls.owner, autocommit=True) as connection:
        connection.execute(f"create database web_schema template {_migrated_template}")
    urls = postgres_server.urls_of("web_schema")
    furnish(urls)
    with running_web(urls, tmp_path_factory.mktemp("schema"), pledge_version="1") as found:
        yield found


@pytest.fixture(scope="module")
def bearer(web: Web) -> str:
    """Of a program that may do everything."""
    with web.engine.begin() as connection:
        roles = ["finance", "platform"]
        return api_tokens.add_token(connection, "all", roles, days=1, read_only=False, actor="os:test", user="u-own")


SCHEMA = schemathesis.openapi.from_dict(openapi_document(REGISTERED, "0"))
FOUND: Any = SCHEMA.get_all_operations()
OPERATIONS = {one.label: one for one in (found.ok() for found in FOUND)}


@pytest.mark.parametrize("label", OPERATIONS)
def test_each_operation_answers_as_the_document_says(web: Web, bearer: str, label: str) -> None:
    headers = {"authorization": f"Bearer {bearer}"}

    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=OPERATIONS[label].as_strategy())
    def asked(case: Any) -> None:
        case.call_and_validate(base_url=web.url, headers=headers, checks=CHECKS)

    asked()


def test_the_document_is_served_to_everybody_and_valid(web: Web) -> None:
    told = httpx.get(f"{web.url}/api/v1/openapi.json").json()
    assert told["openapi"].startswith("3.1")
    assert told["paths"] == SCHEMA.raw_schema["paths"]
    schemathesis.openapi.from_dict(told).validate()
