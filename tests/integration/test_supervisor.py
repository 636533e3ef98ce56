"""The supervisor and the tether: a crash is repaired and told, an end is an end, whatever the children do."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from jangbu.services import processes, supervisor
from jangbu.services.supervisor import Command, Supervisor

CHECKOUT = Path(__file__).resolve().parents[2]
END_S = 15.0

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)",
]
# A supervisor of its own, which prints its children's process ids when all run.
SUPERVISING = """
    import sys, threading, time
    from jangbu.services.supervisor import Command, Supervisor
    one = Supervisor([Command("first", {first!r}), Command("second", {second!r})])
    def tell():
        while len(one.pids()) < 2:
            time.sleep(0.02)
        time.sleep(0.5)
        print(*one.pids().values(), flush=True)
    threading.Thread(target=tell, daemon=True).start()
    one.run()
"""


def started(first: list[str] = SLEEPER, second: list[str] = SLEEPER) -> tuple[subprocess.Popen[str], list[int]]:
    """A supervising process and its children's process ids."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SUPERVISING.format(first=first, second=second))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
    )
    assert process.stdout is not None
    pids: list[int] = []
    while len(pids) < 2:
        line = process.stdout.readline()
        assert line, process.communicate()
        pids = [int(word) for word in line.split() if word.isdigit()]
    return process, pids


def test_a_crashed_child_is_started_again_with_growing_pauses_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "BACKOFF_FIRST_S", 0.05)
    said: list[str] = []
    one = Supervisor([Command("crasher", [sys.executable, "-c", "raise SystemExit(9)"])], say=said.append)
    one.run(until=lambda: len(said) >= 3)
    assert said[:3] == [
        "crasher ended with exit code 9; it is started again in 0.05 s",
        "crasher ended with exit code 9; it is started again in 0.1 s",
        "crasher ended with exit code 9; it is started again in 0.2 s",
    ]
    assert one.pids() == {}


def test_a_killed_child_comes_back_as_another_process() -> None:
    said: list[str] = []
    one = Supervisor([Command("sleeper", SLEEPER)], say=said.append)
    one.start()
    try:
        first = one.pids()["sleeper"]
        os.kill(first, signal.SIGKILL)

        def back() -> bool:
            one.look()
            return one.pids().get("sleeper", first) != first

        assert processes.wait_until(back, 20.0)
        assert said == ["sleeper ended by signal SIGKILL; it is started again in 0.5 s"]
    finally:
        one.stop()
    assert one.pids() == {}


def test_children_end_in_the_opposite_order(tmp_path: Path) -> None:
    record = tmp_path / "record"
    script = (
        "import signal, sys, time\n"
        "def end(*_):\n"
        f"    open({str(record)!r}, 'a').write(sys.argv[1])\n"
        "    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        f"open({str(record)!r} + sys.argv[1], 'w').close()\n"
        "time.sleep(600)\n"
    )
    one = Supervisor([Command(name, [sys.executable, "-c", script, name]) for name in "abc"])
    one.start()
    assert processes.wait_until(lambda: all((tmp_path / f"record{name}").exists() for name in "abc"), 20.0)
    one.stop()
    assert record.read_text(encoding="ascii") == "cba"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_cleanly(number: int) -> None:
    process, pids = started()
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0
    assert said == ""
    assert [processes.identity(pid) for pid in pids] == [None, None]


def test_a_child_that_will_not_end_is_killed_in_time() -> None:
    process, pids = started(STUBBORN, STUBBORN)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert time.monotonic() - began < END_S
    assert "first did not end" in said
    assert "second did not end" in said
    assert [processes.identity(pid) for pid in pids] == [None, None]


def test_children_of_a_killed_supervisor_die_with_it() -> None:
    process, pids = started(STUBBORN, SLEEPER)
    process.kill()
    process.communicate(timeout=60)
    assert processes.wait_until(lambda: all(processes.identity(pid) is None for pid in pids), END_S)


def test_a_child_knows_its_environment(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = Command("teller", [sys.executable, "-c", "import os; print(os.environ['TOLD'])"], {"TOLD": "장부"})
    one = Supervisor([command], log=log, say=lambda _sentence: None)
    one.run(until=lambda: "장부" in log.read_text(encoding="utf-8"))


def test_watching_tether_ends_its_program_without_the_kernels_help() -> None:
    """The way of systems without prctl."""
    script = f"""
        import os, subprocess, sys, time
        argv = [sys.executable, "-I", "-S", {str(processes.TETHER)!r}, "--watch"]
        argv += ["--parent", str(os.getpid()), "--signal", "15"]
        program = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
        subprocess.Popen([*argv, "--", sys.executable, "-c", program])
        time.sleep(600)
    """
    parent = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    program = int(parent.stdout.readline())
    assert processes.identity(program) is not None
    parent.kill()
    parent.wait()
    assert processes.wait_until(lambda: processes.identity(program) is None, END_S)
    parent.stdout.close()


def test_nothing_starts_when_the_parent_is_gone_already(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    argv = [sys.executable, "-I", "-S", str(processes.TETHER), "--parent", "1", "--signal", "9"]
    done = subprocess.run([*argv, "--", "touch", str(mark)], check=False)
    assert done.returncode == 125
    assert not mark.exists()


def test_identity_tells_a_process_from_its_successor_and_a_zombie_from_the_living() -> None:
    child = subprocess.Popen(["true"])
    known = processes.identity(os.getpid())
    assert processes.is_alive(os.getpid(), known)
    assert not processes.is_alive(os.getpid(), "another-boot/1")
    assert processes.wait_until(lambda: processes.identity(child.pid) is None, END_S), "a zombie does not live"
    child.wait()
    assert not processes.is_alive(child.pid, None)
