"""docker-compose.yml from end to end: up, events in, usage out, exactly once while a worker dies, down."""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

# The first test of the module waits for the image to be built and for every service.
pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(1000)]

CHECKOUT = Path(__file__).resolve().parents[2]
BUILD_SECONDS_MAX = 600
UP_SECONDS_MAX = 240
COMMAND_SECONDS_MAX = 90
HEALTHY_SECONDS_MAX = 90
WORKERS = 2
STARTED = (datetime.now(UTC) - timedelta(hours=2)).replace(microsecond=0)


def free_port() -> int:
    """A port of the loopback interface that is free now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass(frozen=True)
class House:
    """One project of compose: the command with its project and settings, and the passwords in them."""

    command: tuple[str, ...]
    environment: dict[str, str]
    values: dict[str, str]

    def compose(self, *arguments: str, given: str = "", seconds_max: float = COMMAND_SECONDS_MAX) -> str:
        """Standard output of a command of compose; a failure shows what was said."""
        done = subprocess.run(
            [*self.command, *arguments],
            input=given,
            capture_output=True,
            env=self.environment,
            text=True,
            timeout=seconds_max,
            check=False,
        )
        if done.returncode:
            pytest.fail(f"{' '.join(arguments)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def jangbu(self, *arguments: str, given: str = "") -> str:
        """Standard output of a command of ours in a container of its own."""
        return self.compose("run", "--rm", "-T", "jangbu", *arguments, given=given)

    def containers(self, service: str) -> list[str]:
        """Ids of a service's containers, running or not."""
        return self.compose("ps", "-q", service).split()


def docker(*arguments: str) -> str:
    """Standard output of the engine's own command."""
    command = ["docker", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_SECONDS_MAX, check=True)
    return done.stdout.strip()


def wait_healthy(identities: list[str]) -> None:
    """Wait until the engine calls each container healthy."""
    deadline = time.monotonic() + HEALTHY_SECONDS_MAX
    for identity in identities:
        while (status := docker("inspect", "-f", "{{.State.Health.Status}}", identity)) != "healthy":
            if time.monotonic() > deadline:
                pytest.fail(f"a container is {status}: {docker('logs', '--tail', '40', identity)}")
            time.sleep(1)


def settings(example: str) -> dict[str, str]:
    """The example's settings with passwords, free ports and a tag of our own."""
    values = dict(re.findall(r"^([A-Z_]+)=(.*)$", example, re.MULTILINE))
    made = {name: secrets.token_urlsafe(12) for name, value in values.items() if not value}
    ports = {name: str(free_port()) for name in ("HOST_PORT_KAFKA", "HOST_PORT_POSTGRES", "HOST_PORT_HTTP")}
    return {**values, **made, **ports, "IMAGE_TAG": "test", "POSTGRES_SHARED_BUFFERS": "128MB"}


@pytest.fixture(scope="module")
def house(compose_command: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Everything up and healthy; at the end nothing of it is left, volumes included."""
    values = settings((CHECKOUT / ".env.example").read_text(encoding="utf-8"))
    env_file = tmp_path_factory.mktemp("compose") / "env"
    env_file.write_text("".join(f"{name}={value}\n" for name, value in values.items()), encoding="utf-8")
    # A variable of the shell would win over the file. The classic builder is the one that every client has.
    environment = {name: value for name, value in os.environ.items() if name not in values}
    project = f"jangbu-test-{secrets.token_hex(4)}"
    command = (*compose_command, "-p", project, "--env-file", str(env_file), "-f", str(CHECKOUT / "docker-compose.yml"))
    house = House(command, {**environment, **_builder(compose_command)}, values)
    try:
        house.compose("build", "migrate", seconds_max=BUILD_SECONDS_MAX)  # one image for all services of ours
        house.compose("up", "-d", seconds_max=UP_SECONDS_MAX)
        wait_healthy([one for service in ("kafka", "postgres", "worker", "http") for one in house.containers(service)])
        yield house
    finally:
        house.compose("down", "-v", "--remove-orphans", "-t", "20", seconds_max=180)
        left = docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={project}")
        assert not left, f"containers of {project} are left: {left}"


def _builder(compose_command: list[str]) -> dict[str, str]:
    """docker-compose 1.29 builds through the engine's classic builder, which needs no plugin."""
    return {"DOCKER_BUILDKIT": "0", "COMPOSE_DOCKER_CLI_BUILD": "0"} if compose_command == ["docker-compose"] else {}


def recent() -> tuple[datetime, str]:
    """A time that every bound of an event allows, the same all session long, and its month in Seoul."""
    return STARTED, STARTED.astimezone(ZoneInfo("Asia/Seoul")).strftime("%Y-%m")


def event(number: int, time_s: datetime, department: str) -> dict[str, Any]:
    """A usage event (contract.md, section 1) whose quantities differ from every other's."""
    return {
        "specversion": "1.0",
        "type": "ai.usage.v1",
        "source": "compose-test",
        "id": f"e-{number}",
        "time": time_s.isoformat().replace("+00:00", "Z"),
        "subject": f"u-{number % 7}",
        "data": {
            "department": department,
            "model": "gpt-5-mini-2025-08-07",
            "provider": "openai",
            "operation": "chat",
            "status": "success",
            "usage_source": "provider",
            "units": {"input_tokens": 1000 + number, "output_tokens": 10 * number + 1, "requests": 1},
        },
    }


def sums(events: list[dict[str, Any]]) -> dict[tuple[str, str], int]:
    """(department, unit) to quantity, each event counted once."""
    total: Counter[tuple[str, str]] = Counter()
    for one in {one["id"]: one for one in events}.values():
        for unit, quantity in one["data"]["units"].items():
            total[one["data"]["department"], unit] += quantity
    return dict(total)


def shown(house: House, month: str) -> dict[tuple[str, str], int]:
    """The same from `jangbu usage`."""
    told = json.loads(house.jangbu("usage", "--month", month, "--by", "department,unit", "--json"))
    assert told["month"] == month
    return {(row["department"], row["unit"]): int(row["quantity"]) for row in told["rows"]}


def test_what_runs_has_least_rights(house: House) -> None:
    """No process is root; a worker knows no password but its own."""
    workers = house.containers("worker")
    assert len(workers) == WORKERS
    for identity in [*house.containers("kafka"), *house.containers("postgres"), *workers]:
        uids = re.findall(r"^Uid:\s+(.*)$", docker("exec", identity, "cat", "/proc/1/status"), re.MULTILINE)[0].split()
        assert "0" not in uids
    for identity in workers:
        known = docker("inspect", "-f", "{{json .Config.Env}}", identity)
        assert house.values["DB_PASSWORD_WORKER"] in known
        others = [name for name in house.values if name.startswith("DB_PASSWORD_") and name != "DB_PASSWORD_WORKER"]
        assert not [name for name in others if house.values[name] in known]


def test_events_are_counted_once_while_a_worker_dies(house: House) -> None:
    """Events, some twice and one malformed, in two batches with a SIGKILL between: usage shows each event once."""
    time_s, month = recent()
    events = [event(number, time_s, f"D{number % 3:03d}") for number in range(60)]
    first = [json.dumps(one) for one in [*events[:40], *events[:5]]]
    told = json.loads(house.jangbu("ingest", "-", "--format", "usage", "--json", given="\n".join([*first, "{"]) + "\n"))
    assert (told["accepted"], told["rejected"]) == (45, 1)
    house.jangbu("wait", "--caught-up", "--timeout", "60")
    assert shown(house, month) == sums(events[:40])

    killed = house.containers("worker")[0]
    docker("kill", "--signal", "KILL", killed)
    second = "".join(json.dumps(one) + "\n" for one in events[30:])
    house.jangbu("ingest", "-", "--format", "usage", "--json", given=second)
    house.jangbu("wait", "--caught-up", "--timeout", "75")
    assert shown(house, month) == sums(events)

    docker("start", killed)
    wait_healthy([killed])


def test_events_over_http_reach_usage(house: House) -> None:
    """Through the published port with the token of the settings; without it nothing is taken. Alerts are looked for."""
    time_s, month = recent()
    body = json.dumps([event(number, time_s, "D700") for number in range(700, 710)]).encode()
    address = f"http://127.0.0.1:{house.values['HOST_PORT_HTTP']}/v1/events"
    kind = {"Content-Type": "application/cloudevents-batch+json"}
    with pytest.raises(urllib.error.HTTPError, match="401") as refused:
        urllib.request.urlopen(urllib.request.Request(address, body, kind), timeout=20)
    refused.value.close()
    sent = urllib.request.Request(address, body, {**kind, "Authorization": f"Bearer {house.values['HTTP_TOKEN']}"})
    with urllib.request.urlopen(sent, timeout=20) as answer:  # noqa: S310
        assert answer.status == 202
    deadline = time.monotonic() + 60
    while shown(house, month).get(("D700", "requests")) != 10:
        assert time.monotonic() < deadline
    (alerts,) = house.containers("alerts")
    assert docker("inspect", "-f", "{{.State.Status}} {{.RestartCount}}", alerts) == "running 0"


def test_the_pages_ask_who_it_is(house: House) -> None:
    """The page of the sign-in, and in the log the link for the first account: both need billing's login."""
    address = f"http://127.0.0.1:{house.values['HOST_PORT_HTTP']}/sign-in"
    with urllib.request.urlopen(address, timeout=20) as answer:
        page = answer.read().decode()
    assert "jangbu account add" in page, "nobody has an account yet"
    assert "/sign-in/first?token=" in house.compose("logs", "--no-color", "http")


def data_made(house: House) -> tuple[str, str]:
    """What PostgreSQL's and Kafka's data directories were named when they were made.

    Usage alone would not tell: an empty database is filled again from the topic.
    """
    (postgres,), (kafka,) = house.containers("postgres"), house.containers("kafka")
    query = "select system_identifier from pg_control_system()"
    return (
        docker("exec", postgres, "psql", "-U", "postgres", "-Atc", query),
        docker("exec", kafka, "cat", "/var/lib/kafka/data/meta.properties"),
    )


def test_volumes_keep_everything(house: House) -> None:
    """All containers made anew: nothing is lost, what comes a second time is not counted again, the laws hold."""
    time_s, month = recent()
    again = [event(number, time_s, "D900") for number in range(500, 510)]
    lines = "".join(json.dumps(one) + "\n" for one in again)
    house.jangbu("ingest", "-", "--format", "usage", given=lines)
    house.jangbu("wait", "--caught-up", "--timeout", "60")
    before, made = shown(house, month), data_made(house)
    assert before.items() >= sums(again).items()
    house.compose("rm", "-s", "-f", "-v", seconds_max=UP_SECONDS_MAX)  # -v: those without a name only
    house.compose("up", "-d", seconds_max=UP_SECONDS_MAX)
    wait_healthy(house.containers("worker"))
    assert data_made(house) == made
    assert shown(house, month) == before

    house.jangbu("ingest", "-", "--format", "usage", given=lines)
    house.jangbu("wait", "--caught-up", "--timeout", "60")
    assert shown(house, month) == before
    assert json.loads(house.jangbu("audit", "--json"))["ok"] is True


def test_a_worker_leaves_when_it_is_told(house: House) -> None:
    """SIGTERM ends a worker within its grace: 137 would mean that the engine had to kill it."""
    identity = house.containers("worker")[-1]
    docker("stop", "--time", "20", identity)
    assert docker("inspect", "-f", "{{.State.ExitCode}}", identity) != "137"
    docker("start", identity)
    wait_healthy([identity])


def test_compose_says_what_is_missing(house: House, tmp_path: Path) -> None:
    """Without passwords nothing starts, and the sentence names the variable and the file."""
    empty = tmp_path / "env"
    empty.write_text("", encoding="utf-8")
    place = house.command.index("--env-file") + 1
    command = [*house.command[:place], str(empty), *house.command[place + 1 :], "config"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=house.environment)
    assert done.returncode != 0
    assert "DB_PASSWORD_" in done.stderr
    assert ".env.example" in done.stderr
