"""The real LiteLLM proxy and the stand-in vendor as processes, on ports of their own, ended with who started them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Self

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
CLIENTS = CHECKOUT / ".clients" / "bin"
MASTER_KEY = "sk-master-of-the-tests"
START_TIMEOUT_S = 180.0
CALLBACK = "jangbu.gateway.litellm.callback"


def need_clients() -> None:
    """Skip where the environment of real clients has not been made."""
    if not (CLIENTS / "litellm").exists():
        pytest.skip("the real clients are not installed: make clients")


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def configuration(vendor_url: str, callbacks: list[str], *, cache: bool = False) -> dict[str, Any]:
    """A stock proxy's configuration: models of three vendors at the stand-in, one that LiteLLM answers itself."""

    def model(name: str, of: str, path: str = "/v1") -> dict[str, Any]:
        parameters = {"model": of, "api_base": vendor_url + path, "api_key": "sk-vendor", "max_retries": 0}
        return {"model_name": name, "litellm_params": parameters}

    models = [
        model("gpt", "openai/gpt-5-mini"),
        model("gpt-small", "openai/gpt-5-nano"),
        model("claude", "anthropic/claude-sonnet-4-5-20250929", ""),
        model("gemini", "gemini/gemini-2.5-flash", "/v1beta"),
        model("embedding", "openai/text-embedding-3-small"),
        model("image", "openai/gpt-image-1"),
        model("transcription", "openai/gpt-4o-transcribe"),
        model("speech", "openai/gpt-4o-mini-tts"),
        {
            "model_name": "mock",
            "litellm_params": {"model": "openai/gpt-5-mini", "mock_response": "said", "api_key": "x"},
        },
    ]
    settings: dict[str, Any] = {"callbacks": callbacks}
    if cache:
        settings |= {"cache": True, "cache_params": {"type": "local"}}
    return {
        "model_list": models,
        "router_settings": {
            "num_retries": 2, "retry_after": 0, "disable_cooldowns": True, "fallbacks": [{"gpt": ["gpt-small"]}],
        },
        "litellm_settings": settings,
        "general_settings": {"master_key": MASTER_KEY},
        "files_settings": [{"custom_llm_provider": "openai", "api_base": vendor_url + "/v1", "api_key": "sk-vendor"}],
    }  # fmt: skip


class Process:
    """A program of ours; its output goes to a file beside its data."""

    def __init__(self, name: str, command: list[str], log: Path, environment: dict[str, str] | None = None) -> None:
        self._name = name
        self._command = command
        self.log = log
        self._environment = environment
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, health_url: str) -> None:
        """Start and wait until it answers."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                cwd=self.log.parent,
            )
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while not answers(health_url):
            code = self.process.poll()
            assert code is None, f"{self._name} ended with {code}:\n{self.text()[-4000:]}"
            assert time.monotonic() < deadline_s, f"{self._name} does not answer:\n{self.text()[-4000:]}"
            time.sleep(0.2)

    def signal(self, number: signal.Signals) -> int:
        """Send a signal and wait for the end."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(60)

    def text(self) -> str:
        """What it has said."""
        return self.log.read_text(errors="replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.signal(signal.SIGKILL)


class VendorProcess(Process):
    """The stand-in vendor (tests/gateway/vendor_standin.py) and its bill."""

    def __init__(self, directory: Path, *words: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.bill_path = directory / "bill.jsonl"
        script = str(CHECKOUT / "tests" / "gateway" / "vendor_standin.py")
        super().__init__(
            "the vendor", [sys.executable, script, str(self.port), str(self.bill_path), *words],
            directory / "vendor.log",
        )

    def __enter__(self) -> Self:
        self.start(f"{self.url}/healthz")
        return self

    def bill(self) -> list[dict[str, Any]]:
        """Every call so far, a line each."""
        return [json.loads(line) for line in self.bill_path.read_text().splitlines()]


class ProxyProcess(Process):
    """LiteLLM's proxy from its package, with our callback where `settings` are given."""

    def __init__(self, directory: Path, config: dict[str, Any], settings: dict[str, str], name: str = "proxy") -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.data_dir = directory / "data"
        path = directory / f"{name}.yaml"
        path.write_text(json.dumps(config))
        command = [str(CLIENTS / "litellm"), "--config", str(path), "--host", "127.0.0.1", "--port", str(self.port)]
        super().__init__(name, command, directory / f"{name}.log", environment(self.data_dir, settings))

    def start(self, health_url: str = "") -> None:
        """Start and wait until it answers."""
        super().start(health_url or f"{self.url}/health/liveliness")

    def status(self) -> dict[str, Any]:
        """The callback's counters of the first process."""
        path = self.data_dir / "gateway" / "outbox-0.status.json"
        found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        return found


def environment(data_dir: Path, settings: dict[str, str]) -> dict[str, str]:
    """An environment without the developer's settings; nothing is fetched from the internet."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JANGBU_", "LITELLM_"))}
    return {
        **kept, "PYTHONPATH": str(CHECKOUT), "LITELLM_LOCAL_MODEL_COST_MAP": "True", "JANGBU_DATA_DIR": str(data_dir),
        "PYTHONUNBUFFERED": "1", "DEFAULT_MAX_RETRIES": "0", **settings,
    }  # fmt: skip


def answers(url: str) -> bool:
    """Whether something answers there."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - addresses of ours
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def run_client(script: str, proxy_url: str, *arguments: str, timeout_s: float = 300) -> list[dict[str, Any]]:
    """A script of tests/gateway with the real clients; what it prints are JSON lines."""
    command = [str(CLIENTS / "python"), str(CHECKOUT / "tests" / "gateway" / script), proxy_url, MASTER_KEY, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False, cwd="/")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return [json.loads(line) for line in done.stdout.splitlines()]
