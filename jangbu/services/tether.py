"""Start a program whose life ends with its parent's, even when the parent is killed with SIGKILL.

Run as a file, not as a module: ``python -I -S tether.py OPTIONS -- PROGRAM ARGUMENT...``. It prepares the process
and becomes the program (same process id), so it must load nothing but the standard library and be quick.

--parent PID       the process that must stay alive: where it is gone already, nothing is started (exit 125)
--signal NUMBER    what the program gets when its parent dies (prctl PR_SET_PDEATHSIG, prctl(2))
--user NAME        become this user first (for root only: PostgreSQL refuses to run as root)
--detach           own session, reparented; prints the process id on standard output and lives on without its starter
--watch            do not rely on prctl: stay as a small parent that looks twice a second (systems other than Linux)

Everything is imported before the identity changes: the new user may not be allowed to read our interpreter's files.
The kernel sends the signal when the *thread* that started the program ends: start from a thread that stays.
"""

import ctypes
import os
import pwd
import signal
import subprocess
import sys
import time

PR_SET_PDEATHSIG = 1
PARENT_GONE_EXIT = 125
WATCH_INTERVAL_S = 0.5
WATCH_GRACE_S = 10.0


def main(arguments: list[str]) -> None:
    """Read the options, prepare this process, become the program."""
    split = arguments.index("--")
    program = arguments[split + 1 :]
    options = _read_options(arguments[:split])
    if "detach" in options:
        _detach()
    if "user" in options:
        _become(options["user"])
    parent = int(options.get("parent", 0))
    number = int(options.get("signal", signal.SIGKILL))
    if parent and ("watch" in options or sys.platform != "linux"):
        sys.exit(_watch(program, parent, number))
    if parent:
        _die_with_parent(parent, number)
    os.execvp(program[0], program)  # noqa: S606 - argv is built by the caller, no shell


def _read_options(words: list[str]) -> dict[str, str]:
    """Options as a dictionary; ``detach`` and ``watch`` carry no value."""
    options: dict[str, str] = {}
    position = 0
    while position < len(words):
        name = words[position].removeprefix("--")
        if name in ("detach", "watch"):
            options[name] = ""
            position += 1
        else:
            options[name] = words[position + 1]
            position += 2
    return options


def _detach() -> None:
    """Leave the terminal's session and the starter: a Ctrl-C there does not arrive here."""
    child = os.fork()
    if child:
        os.write(1, b"%d\n" % child)
        os._exit(0)
    os.setsid()
    silent = os.open(os.devnull, os.O_RDWR)
    os.dup2(silent, 0)
    os.dup2(2, 1)


def _become(name: str) -> None:
    """Take the identity of user ``name``, with its groups and nothing else of ours."""
    entry = pwd.getpwnam(name)
    os.initgroups(name, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    os.environ["HOME"] = entry.pw_dir
    os.environ["USER"] = os.environ["LOGNAME"] = name
    os.umask(0o077)


def _die_with_parent(parent: int, number: int) -> None:
    """Ask the kernel for the signal; the parent may have died before we asked, so look afterwards."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, number, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:
        os._exit(PARENT_GONE_EXIT)


def _watch(program: list[str], parent: int, number: int) -> int:
    """Run the program as a child, pass signals on, end it when the parent is gone. Returns its exit code."""
    with subprocess.Popen(program) as child:
        for passed in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            signal.signal(passed, lambda received, _frame: child.send_signal(received))
        while child.poll() is None:
            time.sleep(WATCH_INTERVAL_S)
            if os.getppid() != parent:
                child.send_signal(number)
                try:
                    child.wait(WATCH_GRACE_S)
                except subprocess.TimeoutExpired:
                    child.kill()
        return child.returncode if child.returncode >= 0 else 128 - child.returncode


if __name__ == "__main__":
    main(sys.argv[1:])
