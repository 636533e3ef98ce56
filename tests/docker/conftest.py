"""What the tests of images and containers share: the engine, or the reason why there is none."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

# The reaper of testcontainers is an image of its own, which cannot be pulled everywhere: these tests remove what they
# start themselves. It is read when testcontainers is imported, so it stands here.
os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"

CHECKOUT = Path(__file__).resolve().parents[2]
INFO_SECONDS_MAX = 30


def _answers(*command: str) -> bool:
    """Whether a command exists, ends in time and says yes."""
    try:
        return subprocess.run(command, capture_output=True, timeout=INFO_SECONDS_MAX, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


@pytest.fixture(scope="session")
def engine() -> None:
    """A Docker Engine that answers."""
    if not _answers("docker", "info"):
        pytest.skip("no Docker Engine answers `docker info`: start Docker, or run tests/docker/engine.sh start as root")


@pytest.fixture(scope="session")
def base_image(engine: None) -> None:
    """The base images are here, or can be pulled; `docker run` says why not, otherwise minutes later."""
    for image in ("apache/kafka:4.1.0", "postgres:18", "python:3.11-slim-bookworm"):
        if not _answers("docker", "image", "inspect", image) and not _answers("docker", "pull", "--quiet", image):
            pytest.skip(f"{image} is not here and cannot be pulled: run tests/docker/base_images.sh as root")


@pytest.fixture(scope="session")
def compose_command(base_image: None) -> list[str]:
    """`docker compose` where it is, otherwise `docker-compose`."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if _answers(*command, "version"):
            return command
    pytest.skip("neither `docker compose` nor `docker-compose` is here: run tests/docker/engine.sh start as root")
