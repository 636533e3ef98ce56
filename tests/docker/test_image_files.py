"""What the image, compose and the settings' example promise each other. No engine is needed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
COMPOSE = (CHECKOUT / "docker-compose.yml").read_text(encoding="utf-8")
EXAMPLE = (CHECKOUT / ".env.example").read_text(encoding="utf-8")
DOCKERFILE = (CHECKOUT / "Dockerfile").read_text(encoding="utf-8")
BASE_IMAGES = (CHECKOUT / "tests" / "docker" / "base_images.sh").read_text(encoding="utf-8")
NOT_OURS = {"PIP_INDEX_URL"}


def pins(name: str) -> dict[str, str]:
    """Package to everything that a requirements file says of it: version and hashes, comments left out."""
    text = (CHECKOUT / name).read_text(encoding="utf-8")
    lines = [line.strip() for line in text.splitlines() if not line.strip().startswith("#")]
    blocks = re.split(r"\s(?=[a-z][a-z0-9-]*(?:\[[a-z0-9,-]+\])?==)", "\n".join(lines))
    return {block.partition("==")[0]: " ".join(block.replace("\\", " ").split()) for block in blocks if "==" in block}


def test_the_wheel_is_built_with_the_pins_of_development() -> None:
    """A pin that is raised in one file only would build two kinds of wheel."""
    build, development = pins("docker/build-requirements.txt"), pins("requirements/dev.txt")
    assert "hatchling" in build
    assert build == {name: development[name] for name in build}


def test_every_variable_of_compose_stands_in_the_example() -> None:
    """Nobody has to read the compose file to know what can be set; and nothing stands there for nothing."""
    used = set(re.findall(r"\$\{([A-Z_]+)", COMPOSE)) - NOT_OURS
    assert used == set(re.findall(r"^([A-Z_]+)=", EXAMPLE, re.MULTILINE))


def test_the_defaults_of_compose_are_those_of_the_example() -> None:
    """Two places that name a default name the same one."""
    told = dict(re.findall(r"^([A-Z_]+)=(.+)$", EXAMPLE, re.MULTILINE))
    defaults = re.findall(r"\$\{([A-Z_]+):-([^}]*)\}", COMPOSE)
    assert defaults
    assert {name: told.get(name) for name, _ in defaults} == dict(defaults)


def test_no_password_is_committed() -> None:
    """The example names passwords and holds none; compose refuses to start without them."""
    assert set(re.findall(r"^DB_PASSWORD_[A-Z]+=(.*)$", EXAMPLE, re.MULTILINE)) == {""}
    required = set(re.findall(r"\$\{(DB_PASSWORD_[A-Z]+):\?", COMPOSE))
    assert required == set(re.findall(r"^(DB_PASSWORD_[A-Z]+)=", EXAMPLE, re.MULTILINE))


def test_ports_are_bound_to_the_loopback_interface() -> None:
    """Kafka asks nobody for a password, so nothing may listen to the network."""
    listed = re.findall(r"ports:\n((?: +- .*\n)+)", COMPOSE)
    published = [line.strip(" -") for block in listed for line in block.splitlines()]
    assert len(published) == 3
    assert all(line.startswith("127.0.0.1:") for line in published)


@pytest.mark.parametrize("image", sorted(set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE))))
def test_base_images_of_ours_are_made_locally_too(image: str) -> None:
    """What the Dockerfile starts from can be had without a registry."""
    assert re.search(rf"^{re.escape(image)} make_", BASE_IMAGES, re.MULTILINE)


def test_images_of_compose_are_made_locally_too() -> None:
    """The same for the services of others."""
    images = {image for image in re.findall(r"^ +image: (\S+)$", COMPOSE, re.MULTILINE) if "jangbu" not in image}
    assert images == {"apache/kafka:4.1.0", "postgres:18"}
    made = set(re.findall(r"^(\S+) make_[a-z]+$", BASE_IMAGES, re.MULTILINE))
    assert images <= made


def test_the_image_runs_without_rights() -> None:
    """The last USER of the Dockerfile is not root, and every service of others names a user."""
    assert re.findall(r"^USER (\S+)$", DOCKERFILE, re.MULTILINE)[-1] == "jangbu"
    assert re.findall(r"^    user: (\S+)$", COMPOSE, re.MULTILINE) == ["appuser", "postgres"]
