"""The whole chain, a LiteLLM proxy with guardrails before `jangbu up`: verdicts become flags, forged users are nobody,
and nothing planted (secrets, prompts, answers, addresses) stands in any log, any file or the database afterwards.

One chain for all of it: `up` runs PostgreSQL, a broker, a worker, the publisher, alerts and the web.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest

from jangbu.services.ports import free_port, is_listening
from tests.gateway import proxy_world as world

pytestmark = pytest.mark.timeout(900)
TOKEN = "PLANTED-token-of-the-gateway"
SMTP_PASSWORD = "PLANTED-password-of-the-mail-server"
VENDOR_KEY = "sk-PLANTED-key-of-the-vendor"
PROMPT, ANSWER, ADDRESS = "PLANTED-prompt", "PLANTED-answer", "planted.person@example.org"
NUMBER = "123-45-6789"
AGENT, FORGED, STOLEN = "PLANTED-agent", "PLANTED-forged-admin", "PLANTED-stolen-token-00"
EVERYWHERE = (PROMPT, ANSWER, ADDRESS, NUMBER, AGENT, FORGED, STOLEN, VENDOR_KEY, SMTP_PASSWORD, TOKEN)
NAMES = ("<script>alert(1)</script>", "=cmd|' /C calc'!A0")
"""Users that look like code: they are names, and are kept."""
UP_S_MAX = 120.0


class Chain(NamedTuple):
    """What a run left."""

    directory: Path
    proxy_said: str
    up_said: str
    rows: dict[str, str]
    """table -> its rows as text."""
    flags: dict[str, Any]
    answers: dict[str, tuple[int, str]]
    csv: str


def ask(url: str, text: str, *, key: str = world.MASTER_KEY, **more: Any) -> tuple[int, str]:
    """(status, answer) of one chat completion with all that a client can forge."""
    body = {"model": "mock", "messages": [{"role": "user", "content": text}], "user": FORGED,
            "metadata": {"user_api_key_user_id": FORGED, "user_api_key_team_id": FORGED}, **more}  # fmt: skip
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json", "user-agent": AGENT,
               "x-forwarded-user": FORGED, "x-litellm-end-user-id": FORGED, "x-jangbu-user": FORGED}  # fmt: skip
    return post(f"{url}/v1/chat/completions", body, headers)


def post(url: str, body: Any, headers: dict[str, str]) -> tuple[int, str]:
    """A request and what came back."""
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310 - an address of ours
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def configuration() -> dict[str, Any]:
    """A stock proxy with LiteLLM's own content filter: addresses are masked, numbers refused."""
    config = world.configuration("http://127.0.0.1:9", [world.CALLBACK])
    parameters = {"model": "openai/gpt-5-mini", "mock_response": ANSWER, "api_key": VENDOR_KEY}
    config["model_list"] = [{"model_name": "mock", "litellm_params": parameters}]
    patterns = [{"pattern_type": "prebuilt", "pattern_name": "email", "action": "MASK"},
                {"pattern_type": "prebuilt", "pattern_name": "us_ssn", "action": "BLOCK"}]  # fmt: skip
    filtering = {"guardrail": "litellm_content_filter", "mode": "pre_call", "default_on": True, "patterns": patterns}
    config["guardrails"] = [{"guardrail_name": "filter", "litellm_params": filtering}]
    config["router_settings"] = {"num_retries": 0}
    return config


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    world.need_clients()
    directory = tmp_path_factory.mktemp("whole")
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JANGBU_")}
    environment |= {"JANGBU_PORT": str(port), "JANGBU_TOKEN": TOKEN, "PYTHONPATH": str(world.CHECKOUT),
                    "JANGBU_SMTP_URL": f"smtp://jangbu:{SMTP_PASSWORD}@127.0.0.1:9"}  # fmt: skip
    jangbu = [sys.executable, "-m", "jangbu", "--data-dir", str(directory / "data"), "--timezone", "UTC"]
    log = directory / "up.log"
    with log.open("wb") as output:
        up = subprocess.Popen([*jangbu, "up", "--workers", "1"], env=environment, stdout=output, stderr=output)
    try:
        deadline_s = time.monotonic() + UP_S_MAX
        while not is_listening(port):
            assert up.poll() is None, log.read_text()
            assert time.monotonic() < deadline_s, log.read_text()
            time.sleep(0.2)
        url = f"http://127.0.0.1:{port}"
        settings = {"JANGBU_SOURCE": "gateway-1", "JANGBU_URL": url, "JANGBU_TOKEN": TOKEN}
        with world.ProxyProcess(directory, configuration(), settings) as proxy:
            proxy.start()
            answers = {
                "plain": ask(proxy.url, PROMPT),
                "masked": ask(proxy.url, f"{PROMPT} {ADDRESS}"),
                "blocked": ask(proxy.url, f"{PROMPT} {NUMBER}"),
                "tagged": ask(proxy.url, PROMPT, metadata={"tags": ["jangbu.flag:policy_found", f"tag:{7}"]}),
                "wrong key": ask(proxy.url, PROMPT, key="sk-PLANTED-stolen-key"),
                **{name: straight(url, name) for name in NAMES},
                "forged": straight(url, "u-9", token=STOLEN),
            }
            wait_until_delivered(proxy)
            proxy.signal(signal.SIGINT)
            subprocess.run([*jangbu, "wait", "--caught-up", "--timeout", "90"], env=environment, check=True)
            month = time.strftime("%Y-%m", time.gmtime())
            told = [run(jangbu, environment, *words) for words in
                    (("flags", "--month", month, "--k", "2", "--json"), ("doctor",), ("audit", "--json"),
                     ("usage", "--month", month, "--by", "user", "--csv"))]  # fmt: skip
            assert json.loads(told[2])["ok"], told[2]
            rows = tables(directory / "data")
            (directory / "told.txt").write_text("\n".join(told))
            yield Chain(directory, proxy.text(), log.read_text(), rows, json.loads(told[0]), answers, told[3])
    finally:
        up.send_signal(signal.SIGTERM)
        up.wait(60)


def straight(url: str, user: str, token: str = TOKEN) -> tuple[int, str]:
    """An event to the door with all that does not belong there."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    data = {"model": "m", "provider": "p", "units": {"requests": 1}, "messages": [PROMPT], "email": ADDRESS}
    event = {"specversion": "1.0", "type": "ai.usage.v1", "source": "app", "id": f"id {user}", "time": moment,
             "subject": user, "data": data, "prompt": PROMPT, "actor": FORGED, "token": STOLEN}  # fmt: skip
    headers = {"authorization": f"Bearer {token}", "content-type": "application/cloudevents+json", "user-agent": AGENT,
               "x-forwarded-user": FORGED}  # fmt: skip
    return post(f"{url}/v1/events", event, headers)


def run(jangbu: list[str], environment: dict[str, str], *words: str) -> str:
    done = subprocess.run([*jangbu, *words], env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode in (0, 7), done.stderr
    return done.stdout + done.stderr * (words[0] == "doctor")


def wait_until_delivered(proxy: world.ProxyProcess) -> None:
    """Until the callback has written the four events that were answered, and its outbox is empty."""
    from producers.outbox_view import OutboxView

    deadline_s = time.monotonic() + 60
    view = OutboxView(proxy.data_dir / "gateway" / "outbox-0.sqlite")
    while proxy.status().get("written", 0) < 4 or (waiting := view.waiting()) is None or waiting.rows:
        assert time.monotonic() < deadline_s, proxy.text()[-3000:]
        time.sleep(0.2)
    view.close()


def tables(data_dir: Path) -> dict[str, str]:
    """Every table's rows as text, read by the owner."""
    url = json.loads((data_dir / "run" / "services.json").read_text())["services"]["postgres"]["urls"]["owner"]
    with psycopg.connect(url) as connection:
        names = connection.execute("select tablename from pg_tables where schemaname = 'public'").fetchall()
        return {
            name: "\n".join(str(row[0]) for row in connection.execute(f'select t::text from "{name}" t'.encode()))
            for (name,) in names
        }


def test_a_guardrails_verdict_is_a_flag(chain: Chain) -> None:
    assert {name: chain.answers[name][0] for name in ("plain", "masked", "blocked", "wrong key")} == {
        "plain": 200, "masked": 200, "blocked": 400, "wrong key": 400,
    }  # fmt: skip
    assert "No connected db" in chain.answers["wrong key"][1], "a proxy without a database knows one key: refused"
    assert {total["flag"] for total in chain.flags["totals"]} == {
        "sensitive_masked", "sensitive_blocked", "policy_found",
    }  # fmt: skip
    assert all(row["people"] == "<2" and row["events"] is None for row in chain.flags["rows"]), "one person is a group"
    stored = chain.rows["usage_flag"]
    assert all(word in stored for word in ("sensitive_masked", "sensitive_blocked", "policy_found"))


def test_who_a_request_says_it_is_does_not_count(chain: Chain) -> None:
    assert chain.answers["forged"][0] == 401
    assert FORGED not in "".join(chain.rows.values())


def test_users_that_look_like_code_are_names_that_no_spreadsheet_runs(chain: Chain) -> None:
    assert [chain.answers[name][0] for name in NAMES] == [202, 202]
    assert all(name in chain.rows["payer"] for name in (NAMES[0], "=cmd|"))
    assert NAMES[0] in chain.csv
    assert any(line.startswith("'=cmd|") for line in chain.csv.splitlines())


def test_nothing_planted_stands_anywhere(chain: Chain) -> None:
    """Logs of the proxy, of `up` and all it runs; every table; every file of both data directories."""
    found = [(name, text) for text in EVERYWHERE for name, said in
             (("the proxy's log", chain.proxy_said), ("the log of up", chain.up_said),
              *((f"table {table}", rows) for table, rows in chain.rows.items())) if text in said]  # fmt: skip
    own = {"proxy.yaml"}  # LiteLLM's configuration, where the vendor's key stands by right
    for path in chain.directory.rglob("*"):
        if path.is_file() and path.name not in own:
            raw = path.read_bytes()
            found += [(str(path.relative_to(chain.directory)), text) for text in EVERYWHERE if text.encode() in raw]
    assert found == []
    assert "PLANTED" in (chain.directory / "proxy.yaml").read_text(), "the search finds what stands there"
