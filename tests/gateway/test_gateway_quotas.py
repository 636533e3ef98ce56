"""Quotas at the gateway: the real LiteLLM proxy, a served door on a real database, a vendor of ours behind it."""

from __future__ import annotations

import json
import signal
import subprocess
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.gateway import proxy_world as world
from tests.integration.command_world import CommandShell, environment, house_on
from tests.integration.http_world import TOKEN, OpenDoor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from jangbu.services.postgres import DatabaseUrls
    from tests.scenarios.house import House

pytestmark = pytest.mark.timeout(900)
QUOTAS = (
    "scope,subject,model,unit,limit,window,thresholds,notify,mode\n"
    "user,soft,,tokens,100,year,,,soft\n"
    "user,hard,,tokens,1000,year,,,hard\n"
    "user,few,,requests,3,year,,,hard\n"
)
PLEDGES = "user,version,signed_on\n" + "".join(f"{user},v1,2026-01-02\n" for user in ("soft", "hard", "few", "pilot"))
PROGRAMMES = (
    "programme,name,starts_on,ends_on,places,models\npilot,Pilot,2026-01-01,2100-01-01,570,gpt-5-nano;claude*\n"
)
APPLICATIONS = "programme,user,department,applied_at\npilot,pilot,D001,2026-01-02T00:00:00Z\n"
AUTH = '''
from litellm.proxy._types import UserAPIKeyAuth

async def whose(request, api_key):
    """The key names the user: sk-u-NAME."""
    return UserAPIKeyAuth(api_key=api_key, user_id=api_key.removeprefix("sk-u-"), team_id="D001")
'''
OPENAI_CLIENT = """
import json, openai, sys
client = openai.OpenAI(base_url=sys.argv[1] + "/v1", api_key=sys.argv[2], max_retries=0)
try:
    client.chat.completions.create(model="gpt", messages=[{"role": "user", "content": "more"}], max_tokens=10)
except openai.APIStatusError as error:
    print(json.dumps([type(error).__name__, error.body, dict(error.response.headers)]))
"""


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: str

    @property
    def error(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)["error"]
        return found


def call(url: str, user: str, model: str = "gpt", text: str = "hello", **more: Any) -> Answer:
    """One chat completion."""
    body = {"model": model, "messages": [{"role": "user", "content": text}], **more}
    headers = {"authorization": f"Bearer sk-u-{user}", "content-type": "application/json"}
    request = urllib.request.Request(f"{url}/v1/chat/completions", json.dumps(body).encode(), headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - addresses of ours
            return Answer(answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read().decode())
    except urllib.error.HTTPError as error:
        return Answer(error.code, {k.lower(): v for k, v in error.headers.items()}, error.read().decode())


def until(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.1)


@pytest.fixture
def house(migrated_database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[House]:
    yield from house_on(migrated_database, monkeypatch, tmp_path)


@pytest.fixture
def door(
    house: House, migrated_database: DatabaseUrls, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[OpenDoor]:
    world.need_clients()
    shell = CommandShell(capsys)
    for words, content in (
        (("quota", "import"), QUOTAS), (("pledge", "import"), PLEDGES),
        (("programme", "import"), PROGRAMMES), (("programme", "apply"), APPLICATIONS),
    ):  # fmt: skip
        file = tmp_path / f"{words[0]}-{words[1]}.csv"
        file.write_text(content)
        code, out, said = shell.run(*words, file)
        assert code == 0, out + said
    settings = {name.removeprefix("JANGBU_").lower(): value for name, value in environment(migrated_database).items()}
    with OpenDoor(tmp_path, pledge_url="https://sign.example.org", **settings) as opened:
        yield opened


def enforcing(directory: Path, door_url: str, vendor_url: str, **settings: str) -> world.ProxyProcess:
    """A stock proxy with our callback, whose keys name their users."""
    config = world.configuration(vendor_url, [world.CALLBACK])
    (directory / "whose_key.py").write_text(AUTH)
    config["general_settings"]["custom_auth"] = "whose_key.whose"
    config["router_settings"]["fallbacks"] = []
    ours = {"JANGBU_SOURCE": "gateway-1", "JANGBU_URL": door_url, "JANGBU_TOKEN": TOKEN, "JANGBU_QUOTA": "enforce"}
    return world.ProxyProcess(directory, config, {**ours, **settings})


def test_quotas_pledges_and_programmes_hold(house: House, door: OpenDoor, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{door.port}"
    with world.VendorProcess(tmp_path) as vendor, enforcing(tmp_path, url, vendor.url) as proxy:
        proxy.start()
        # Pledge: one sentence in both languages that says where to sign.
        refused = call(proxy.url, "nobody")
        assert refused.status == 403, refused.body
        assert refused.error["code"] == "pledge_unsigned"
        assert refused.error["message"].count("https://sign.example.org") == 2
        # A programme's models.
        assert call(proxy.url, "pilot", "gpt-small").status == 200
        assert call(proxy.url, "pilot", "claude", max_tokens=20).status == 200
        assert call(proxy.url, "pilot", "gpt").error["code"] == "model_not_allowed"
        assert call(proxy.url, "pilot", "gpt-small", fallbacks=["gpt"]).error["code"] == "model_not_allowed"
        assert call(proxy.url, "pilot", "gpt-small,gpt").error["code"] == "model_not_allowed"
        # A soft limit: passes until the door tells that it is spent.
        passed = call(proxy.url, "soft")
        assert (passed.status, passed.headers["x-jangbu-remaining"], passed.headers["x-jangbu-unit"]) == (
            200, "100", "tokens")  # fmt: skip
        streamed = call(proxy.url, "soft", stream=True)
        assert (streamed.status, streamed.headers["x-jangbu-remaining"]) == (200, "100")
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        house.use(now, "D001", "gpt-x", {"input_tokens": 100}, user="soft")
        until(lambda: call(proxy.url, "soft").status == 429)
        code, body, headers = openai_says(proxy.url, "soft")
        assert (code, headers["x-jangbu-remaining"]) == ("RateLimitError", "0")
        assert int(headers["retry-after"]) > 0
        assert (body["code"], body["type"]) == ("quota_exceeded", "rate_limit_error")
        assert {name: body["jangbu"][name] for name in ("scope", "subject", "unit", "limit", "used", "remaining")} == {
            "scope": "user", "subject": "soft", "unit": "tokens", "limit": "100", "used": "100", "remaining": "0"
        }  # fmt: skip
        assert body["jangbu"]["resets_at"] in body["message"]
        # A hard limit: a call without a maximum is refused, so is one that may use more than is left.
        assert call(proxy.url, "hard").error["code"] == "unbounded"
        assert call(proxy.url, "hard", max_tokens=2000).error["jangbu"]["needed"] > "2000"
        beside = call(proxy.url, "hard", max_tokens=20, extra_body={"max_tokens": 2000})
        assert beside.error["jangbu"]["needed"] > "2000"
        assert call(proxy.url, "hard", max_output_tokens=20).error["code"] == "unbounded"
        assert call(proxy.url, "hard", max_tokens=20).status == 200
        assert [call(proxy.url, "few", max_tokens=5).status for _ in range(5)] == [200, 200, 200, 429, 429]
        bill = [line for line in vendor.bill() if line["outcome"] == "success"]
        assert len(bill) >= 3
        until(lambda: proxy.status()["quota"]["refused"] >= 8)
        status = proxy.status()
        assert status["decision_p50_us"] is not None
        assert status["decision_p50_us"] <= 500  # a class on a busy machine; docs/quotas.md says what was measured
        # GET /v1/quota answers from the same state: the settled calls are off what is left, and idle slices come back.
        until(lambda: quota(door, "few")["quotas"][0]["reserved"] == "3")
        assert quota(door, "few")["remaining"] == "0"
        proxy.signal(signal.SIGINT)
        until(lambda: 0 < int(quota(door, "hard")["quotas"][0]["reserved"]) < 200)


def quota(door: OpenDoor, user: str) -> dict[str, Any]:
    found: dict[str, Any] = door.send(b"", None, path=f"/v1/quota?user={user}", method="GET").document
    return found


def openai_says(url: str, user: str) -> Any:
    command = [str(world.CLIENTS / "python"), "-c", OPENAI_CLIENT, url, f"sk-u-{user}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return json.loads(done.stdout)


@pytest.mark.parametrize(("fail", "status"), [("open", 200), ("closed", 503)])
def test_without_a_door(fail: str, status: int, tmp_path: Path) -> None:
    """Nothing is known of quotas: calls pass or do not, as the setting says."""
    world.need_clients()
    away = f"http://127.0.0.1:{world.free_port()}"
    settings = {"JANGBU_QUOTA_FAIL": fail}
    with world.VendorProcess(tmp_path) as vendor, enforcing(tmp_path, away, vendor.url, **settings) as proxy:
        proxy.start()
        answer = call(proxy.url, "anybody")
        assert answer.status == status
        assert (answer.error["code"] if status != 200 else None) == (None if status == 200 else "quota_unknown")
