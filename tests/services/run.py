"""`make services` and `make services-down`: Apache Kafka and PostgreSQL in the background, under `.services/`.

``python tests/services/run.py up`` prints one line for the shell on standard output and nothing else there; what runs
already is used as it is. ``down`` ends both and keeps their data; ``down --purge`` removes the data too.
"""

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
if str(CHECKOUT) not in sys.path:
    sys.path.insert(0, str(CHECKOUT))

from jangbu.errors import JangbuError  # noqa: E402
from jangbu.services import processes, state  # noqa: E402
from jangbu.services.membership import join  # noqa: E402
from jangbu.settings import Settings, load  # noqa: E402
from tests.services.apache_kafka import ApacheKafka, KafkaUnavailableError, fetch_libs  # noqa: E402

DIRECTORY_DEFAULT = CHECKOUT / ".services"
HOLDER_TIMEOUT_S = 90.0
STOP_ESCALATION = ((signal.SIGTERM, 20.0),)


def main(arguments: list[str]) -> int:
    """up, down, or hold (the background process that keeps PostgreSQL)."""
    parser = argparse.ArgumentParser(description="Apache Kafka and PostgreSQL for development, in the background.")
    parser.add_argument("action", choices=["up", "down", "hold"])
    parser.add_argument("--directory", type=Path, default=DIRECTORY_DEFAULT, help="default: .services of the checkout")
    parser.add_argument("--purge", action="store_true", help="with down: remove the data as well")
    options = parser.parse_args(arguments)
    directory = options.directory.absolute()
    try:
        if options.action == "up":
            print(up(directory))
        elif options.action == "hold":
            hold(directory)
        else:
            down(directory, purge=options.purge)
    except (JangbuError, KafkaUnavailableError) as error:
        sys.stderr.write(f"services: {error}\n")
        return 3
    return 0


def up(directory: Path) -> str:
    """Start what does not run; the line for the shell."""
    directory.mkdir(parents=True, exist_ok=True)
    sys.stderr.write("services: starting Apache Kafka\n")
    kafka = ApacheKafka(directory / "kafka", fetch_libs(), detached=True, long_run=True).start()
    sys.stderr.write("services: starting PostgreSQL\n")
    owner_url = _start_postgres(directory)
    variables = {"JANGBU_KAFKA_BOOTSTRAP": kafka.bootstrap, "JANGBU_DATABASE_URL": owner_url}
    return "export " + " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items())


def down(directory: Path, *, purge: bool) -> None:
    """End both, wherever they were started."""
    holder = _holder(directory)
    if holder is not None:
        processes.stop_pid(holder["pid"], holder["identity"], STOP_ESCALATION)
    ApacheKafka(directory / "kafka").stop()
    if purge:
        for name in ("kafka", "data"):
            shutil.rmtree(directory / name, ignore_errors=True)


def hold(directory: Path) -> None:
    """Be the member that keeps PostgreSQL running, until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    with join(_settings(directory), need={"postgres"}, exclusive=True, command="make services"):
        while True:
            time.sleep(3600)


def _start_postgres(directory: Path) -> str:
    """The owner's address of a PostgreSQL that goes on without us."""
    if _holder(directory) is None:
        argv = [sys.executable, str(Path(__file__).resolve()), "hold", "--directory", str(directory)]
        with (directory / "holder.log").open("ab") as log:
            processes.spawn_detached(argv, log=log, environment=dict(os.environ))
        processes.wait_until(lambda: _holder(directory) is not None, HOLDER_TIMEOUT_S)
    with join(_settings(directory), need={"postgres"}, command="make services") as endpoints:
        return endpoints.database_url


def _holder(directory: Path) -> state.ProcessEntry | None:
    """The process that keeps PostgreSQL for `make services`, if it lives."""
    entry = state.StateFile(_settings(directory).run_directory).read()["up"]
    return entry if state.lives(entry) else None


def _settings(directory: Path) -> Settings:
    """Settings of the background PostgreSQL alone: the shell's JANGBU_* variables do not count."""
    return load(flags={"data_dir": str(directory / "data")}, environ={}, cwd=directory)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except subprocess.TimeoutExpired as error:
        sys.stderr.write(f"services: {error}\n")
        sys.exit(1)
