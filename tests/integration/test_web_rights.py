"""Every route and method for every role, from the application's own routes: a new one without a rule here fails.

What a rule means is written down once more below, by hand, and compared with what the running application answers.
"""

from __future__ import annotations

import inspect
import re
import socket
from dataclasses import replace
from html.parser import HTMLParser
from types import FunctionType
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

import psycopg
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from jangbu.web.application import DOOR_ROUTES
from jangbu.web.pages import REGISTERED
from jangbu.web.people import Role
from jangbu.web.rights import RULES, SIGNED_IN
from jangbu.web.routes import api_path
from jangbu.web.signin import api_tokens
from jangbu.web.signin.pages import signin_routes
from jangbu.web.static_files import STATIC_ROUTES
from jangbu.web.views import Action, View
from tests.scenarios.house import House
from tests.web_world import PROBES, TOKEN, Web, csrf_of, running_web, signed_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import httpx
    from starlette.routing import BaseRoute

    from jangbu.services.postgres import DatabaseUrls, EmbeddedPostgres
    from jangbu.web.views import Registered

ALL: Final = frozenset(Role)
READERS: Final = frozenset({Role.FINANCE, Role.PLATFORM, Role.AUDITOR})
MEANING: Final = {
    "anyone": ALL,
    "signed in": ALL,
    "organisation": READERS,
    "organisation, or a head within the own departments": READERS | {Role.HEAD},
    "finance": frozenset({Role.FINANCE}),
    "platform": frozenset({Role.PLATFORM}),
    "finance or platform": frozenset({Role.FINANCE, Role.PLATFORM}),
    "organisation, or the head of the path's department": READERS | {Role.HEAD},
    "finance, or the head of the path's department": frozenset({Role.FINANCE, Role.HEAD}),
}
"""Who may, by the rule's name. A rule that is not here has to be thought about first."""
AREAS: Final = {
    **dict.fromkeys(
        ("", "usage", "departments", "quotas", "alerts", "programmes", "pledges", "views"), READERS | {Role.HEAD}
    ),
    **dict.fromkeys(("month-end", "reconciliation", "prices", "data-quality", "ledger", "accounts"), READERS),
    **dict.fromkeys(("me", "design"), ALL),
}
"""Who may see anything of an area, by the first word of its paths."""
OWN_CHANGES: Final = frozenset(
    {"/me/pledge", "/me/programmes/apply", "/me/programmes/leave", "/usage/views/save", "/usage/views/delete"}
)
"""What everybody does for himself: the only changes that an auditor makes. None touches the books."""
LOOKS: Final = frozenset({"/ledger/laws/check", "/ledger/verify"})
"""What is sent to be looked at; no book is changed by it, so that an auditor may as well."""
OPEN_VIEWS: Final = frozenset({"/design"})
OPEN_ROUTES: Final = frozenset({("GET", "/api/v1/openapi.json")})
DOORS_OWN: Final = frozenset(
    {("GET", "/v1/quota"), ("GET", "/v1/enforcement"), ("POST", "/v1/enforcement/leases")}
)
"""Of gateways: by the door's tokens, tested with the door."""
OWN, FOREIGN = "D-own", "D-foreign"
MARK: Final = "foreign-mark"
HOSTILE: Final = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>"
PATHS: Final = {"month": "2026-10", "department": OWN, "user": "u-own", "alert": "1", "programme": "p-1"}


class Asked(NamedTuple):
    """One registered route: of a page or of the API."""

    method: str
    path: str
    rule: str
    is_api: bool

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


def every_route() -> list[Asked]:
    return [
        Asked("POST" if isinstance(one, Action) else "GET", path, one.rule.name, is_api)
        for one in REGISTERED
        for path, is_api in ((one.path, False), (api_path(one), True))
    ]


ROUTES: Final = every_route()


def filled(path: str, **values: str) -> str:
    """A path with its parameters: the own department, or what is given."""
    return re.sub(r"\{(\w+)(:\w+)?\}", lambda found: (PATHS | values).get(found[1], "1"), path)


@pytest.fixture(scope="module")
def rights_database(postgres_server: EmbeddedPostgres, _migrated_template: str) -> DatabaseUrls:
    with psycopg.connect(postgres_server.urls.owner, autocommit=True) as connection:
        connection.execute(f"create database web_rights template {_migrated_template}")
    return postgres_server.urls_of("web_rights")


@pytest.fixture(scope="module")
def web(rights_database: DatabaseUrls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    furnish(rights_database)
    with running_web(rights_database, tmp_path_factory.mktemp("rights"), pledge_version="1") as found:
        yield found


def furnish(urls: DatabaseUrls) -> None:
    """Two departments: one is the head's, the other bears a mark that the head must never see. Names are hostile."""
    house = House(urls)
    house.prices("openai,gpt-x,input_tokens,,,,KRW,2,1,2026-01-01T00:00:00Z,,letter")
    foreign = ((FOREIGN, f"u-{MARK}", "gpt-x"), (FOREIGN, "u-foreign", f"gpt-{MARK}"))
    for department, user, model in ((OWN, "u-own", HOSTILE), (OWN, "u-own", "gpt-x"), *foreign):
        for month in ("2026-10", "2026-11"):
            house.use(f"{month}-03T05:00:00+09:00", department, model, {"input_tokens": 70, "requests": 1}, user=user)
    house.close()
    with psycopg.connect(urls.owner, autocommit=True) as connection:
        for department, user in ((OWN, "u-own"), (FOREIGN, f"u-{MARK}"), (FOREIGN, "u-foreign")):
            connection.execute(
                'insert into roster ("user", department, valid_from) values (%s, %s, make_date(2026, 1, 1))',
                [user, department],
            )
        connection.execute(
            "insert into register_import (id, register, name, sha256, rows_added, actor)"
            " values (1000, 'department', %s, repeat('a', 64), 2, 'os:test')", [HOSTILE],
        )  # fmt: skip
        for number, (code, name, head) in enumerate(((OWN, HOSTILE, "head-1"), (FOREIGN, MARK, f"u-{MARK}"))):
            connection.execute(
                "insert into department (id, import_id, department, name, head_user, valid_from)"
                " values (%s, 1000, %s, %s, %s, '2026-01-01T00:00Z')", [1000 + number, code, name, head],
            )  # fmt: skip
        connection.execute("insert into topic_log (cluster_id, topic, topic_id) values ('c', 't', 'i')")
        connection.execute(
            "insert into quarantine (log_id, partition, kafka_offset, record_time, code, field, value, reason, state)"
            " values (1, 0, 1, now(), 'invalid', 'units', %s, %s, 'open')", [HOSTILE, HOSTILE],
        )  # fmt: skip


@pytest.fixture(scope="module")
def persons(web: Web) -> Iterator[dict[Role, httpx.Client]]:
    """Somebody of each role, signed in. The head leads OWN by the register; nobody here leads FOREIGN."""
    found = {role: signed_in(web, role.value, "u-own" if role is Role.EMPLOYEE else None) for role in ALL}
    for client in found.values():
        client.headers["x-csrf-token"] = csrf_of(client)
    yield found
    web.close_clients()


def unknown(routes: Iterable[BaseRoute]) -> set[tuple[str, str]]:
    """What is served and neither registered with a rule, nor one of the few that are open or have their own tokens."""
    known = {(one.method, one.path) for one in ROUTES}
    for route in (*DOOR_ROUTES, *signin_routes(), *STATIC_ROUTES, *PROBES):
        assert isinstance(route, Route)
        known |= {(method, route.path) for method in route.methods or ()}
    served = set()
    for one in routes:
        methods = getattr(one, "methods", None) or (type(one).__name__,)
        served |= {(method, getattr(one, "path", "?")) for method in methods if method != "HEAD"}
    return served - known - OPEN_ROUTES - DOORS_OWN


def test_every_route_of_the_application_is_known(web: Web) -> None:
    assert unknown(web.app.routes) == set()
    planted = [Route("/planted", lambda _: None), Mount("/below", Starlette())]
    assert unknown([*web.app.routes, *planted]) == {("GET", "/planted"), ("Mount", "/below")}


def too_open(registered: Iterable[Registered]) -> list[str]:
    """Pages that more roles may open than their area is for."""
    return [
        one.path for one in registered
        if not MEANING[one.rule.name] <= AREAS.get(one.path.split("/")[1], frozenset())
    ]  # fmt: skip


def test_no_page_is_open_to_more_than_its_area_is_for() -> None:
    """A page with a rule of its own that is too wide. A new area is added to AREAS, with whom it is for."""
    assert too_open(REGISTERED) == []
    planted = [replace(one, rule=SIGNED_IN) for one in REGISTERED]
    assert set(too_open(planted)) == {one.path for one in REGISTERED if AREAS[one.path.split("/")[1]] != ALL}
    assert too_open([replace(REGISTERED[0], path="/new-area")]) == ["/new-area"]


def test_every_rule_is_thought_about() -> None:
    assert {rule.name for rule in RULES} | {one.rule for one in ROUTES} == set(MEANING)
    assert {rule.name for rule in RULES if rule.is_open} == {"anyone"}
    assert {one.path for one in REGISTERED if one.rule.is_open} == OPEN_VIEWS
    assert len({one.name for one in ROUTES}) == len(ROUTES), "two routes for one address: the second is never asked"


def test_an_auditor_changes_nothing_and_an_employee_only_the_own() -> None:
    for one in REGISTERED:
        if isinstance(one, Action):
            may = MEANING[one.rule.name] & {Role.AUDITOR, Role.EMPLOYEE}
            assert not may or one.path in OWN_CHANGES | LOOKS, one.path


@pytest.mark.parametrize("asked", ROUTES, ids=[one.name for one in ROUTES])
def test_each_role_at_each_route(web: Web, persons: dict[Role, httpx.Client], asked: Asked) -> None:
    path = filled(asked.path)
    for role, client in persons.items():
        answer = client.request(asked.method, path, headers={"accept": "text/html"})
        said = f"{asked.name} by {role}: {answer.status_code} {answer.text[:300]}"
        assert answer.status_code < 500, said
        is_sent_on = path == "/" and answer.headers.get("location") == "/me"
        is_shown = answer.status_code not in (401, 403) and not is_sent_on
        assert is_shown == (role in MEANING[asked.rule]), said
    nobody = web.client().request(asked.method, path)
    if asked.rule == "anyone":
        assert nobody.status_code == 200
    elif asked.is_api or asked.method == "POST":
        assert nobody.status_code == 401
    else:
        assert (nobody.status_code, nobody.headers["location"].partition("=")[0]) == (303, "/sign-in?next")


@pytest.mark.parametrize("asked", ROUTES, ids=[one.name for one in ROUTES])
def test_no_other_method_does_anything(persons: dict[Role, httpx.Client], asked: Asked) -> None:
    same = {one.method for one in ROUTES if one.path == asked.path} | ({"HEAD"} if asked.method == "GET" else set())
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - same:
        answer = persons[Role.FINANCE].request(method, filled(asked.path))
        others = [one for one in ROUTES if one.method == method and matches(one.path, filled(asked.path))]
        assert answer.status_code in (404, 405) or others, (method, asked.path, answer.status_code)


def matches(pattern: str, path: str) -> bool:
    return re.fullmatch(re.sub(r"\{\w+(:\w+)?\}", ".+", pattern), path) is not None


def test_a_head_has_no_other_department(persons: dict[Role, httpx.Client]) -> None:
    for asked in (one for one in ROUTES if "{department" in one.path):
        for foreign in (FOREIGN, "D-nobody", f"{OWN}%20", f"{OWN},{FOREIGN}"):
            answer = persons[Role.HEAD].request(asked.method, filled(asked.path, department=foreign))
            assert answer.status_code in (403, 404), (asked.name, foreign)
            assert MARK not in answer.text


READ: Final = [one for one in ROUTES if one.method == "GET"]
SEARCHES: Final = (
    "", f"?department={FOREIGN}", f"?department={OWN}&department={FOREIGN}", "?user=u-foreign",
    f"?by=department,user,model&department={FOREIGN},{OWN}", f"?subject={FOREIGN}&scope=department", "?scope=user",
    f"?month=2026-10&department={FOREIGN}&user=u-foreign", "?month=2026-10&format=csv",
)  # fmt: skip
"""None holds the mark: what was asked for may be shown again."""


@pytest.mark.parametrize("asked", READ, ids=[one.name for one in READ])
def test_what_is_anothers_is_not_shown(persons: dict[Role, httpx.Client], asked: Asked) -> None:
    """IDOR: whatever a head or an employee asks for, another department's name, people, models are in no answer."""
    for role in (Role.HEAD, Role.EMPLOYEE):
        is_read = role in MEANING[asked.rule] and asked.is_api  # a page shows what its resource reads
        for search in SEARCHES if is_read else SEARCHES[:1]:
            answer = persons[role].get(filled(asked.path) + search)
            assert MARK not in answer.text, (asked.name, role, search)


def test_the_mark_is_seen_by_who_may(persons: dict[Role, httpx.Client]) -> None:
    """Else the test above would prove nothing."""
    for path in ("/api/v1/pledges", "/api/v1/usage?month=2026-10&by=department,user,model", "/pledges"):
        assert MARK in persons[Role.FINANCE].get(path).text, path


class Hostile(HTMLParser):
    """What on a page could run, or lead elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        scripts = tag == "script" and not (told.get("src") or "").startswith("/static/")
        if scripts or tag in ("iframe", "object", "embed", "base", "style") or "style" in told:
            self.found.append(f"{tag} {attrs}")
        for name, value in attrs:
            if name.startswith("on"):
                self.found.append(f"{tag} {attrs}")
            elif name in ("href", "src", "action", "formaction"):
                parts = urlsplit((value or "").replace("\\", "/"))
                if parts.scheme or parts.netloc:
                    self.found.append(f"{tag} {attrs}")


def hostile(page: str) -> list[str]:
    judge = Hostile()
    judge.feed(page)
    return judge.found


PAGES: Final = [one for one in REGISTERED if isinstance(one, View)]


@pytest.mark.parametrize("view", PAGES, ids=[one.path for one in PAGES])
def test_names_are_text_on_every_page(persons: dict[Role, httpx.Client], view: View) -> None:
    queries = {one.name: HOSTILE for one in view.parameters} | {"x": HOSTILE}
    for role in {Role.FINANCE, Role.HEAD, Role.EMPLOYEE} & MEANING[view.rule.name]:
        for params in ({}, {"month": "2026-10"}, queries):
            answer = persons[role].get(filled(view.path), params=params, headers={"accept": "text/html"})
            assert answer.headers["content-type"].startswith("text/html"), answer.text
            assert hostile(answer.text) == []
            policy = answer.headers["content-security-policy"]
            assert "unsafe" not in policy
            assert "default-src 'none'" in policy
        for name in re.findall(r"\{(\w+)", view.path):
            answer = persons[role].get(filled(view.path, **{name: "%3Cscript%3Ealert(1)%3C%2Fscript%3E"}))
            assert hostile(answer.text) == []


def test_the_judge_of_pages_finds_what_it_should() -> None:
    for planted in (
        "<script>1</script>", "<script src='https://x.example/a.js'></script>", "<img src=x onerror=alert(1)>",
        "<a href='javascript:alert(1)'>", "<a href='//x.example'>", "<a href='/\\x.example'>", "<p style='x'>",
        "<base href='/'>",
    ):  # fmt: skip
        assert hostile(planted), planted
    assert not hostile("<a href='/me?next=//x.example'>&lt;script&gt;</a><script src='/static/a.js'></script>")


ACTIONS: Final = [one for one in REGISTERED if isinstance(one, Action)]


def does(function: FunctionType, seen: set[FunctionType]) -> str:
    """The text of a function, of those that it was made of, and of those of its module that it calls."""
    seen.add(function)
    inner = [cell.cell_contents for cell in function.__closure__ or ()]
    inner += [function.__globals__.get(name) for name in function.__code__.co_names]
    near = [one for one in inner if isinstance(one, FunctionType) and one.__module__.startswith("jangbu.web.")]
    return inspect.getsource(function) + "".join(does(one, seen) for one in near if one not in seen)


@pytest.mark.parametrize("action", ACTIONS, ids=lambda one: one.path)
def test_a_change_says_who_made_it(action: Action) -> None:
    """Whoever writes a change names the person; that the row is there is tested with each page."""
    if action.path not in ("/ledger/verify", "/prices/what-if/file"):  # these write nothing
        assert isinstance(action.do, FunctionType)
        assert re.search(r"ask\.(identity|person)", does(action.do, set())), f"{action.path} asks nobody's name"


@pytest.mark.parametrize("action", ACTIONS, ids=lambda one: one.path)
def test_what_is_sent_is_text_and_leads_nowhere_else(persons: dict[Role, httpx.Client], action: Action) -> None:
    """Fields, files' names and files' contents full of markup; addresses to go on to."""
    client = persons[min(MEANING[action.rule.name])]
    going = dict.fromkeys(("next", "going", "back", "path", "return_to"), "//evil.example.org")
    fields = {one.name: (one.values or (HOSTILE,))[0] for one in action.fields if one.kind != "file"}
    header = "scope,subject,model,unit,limit\n"
    files = {one.name: (HOSTILE + ".csv", header + HOSTILE) for one in action.fields if one.kind == "file"}
    for given in ({**going, **dict.fromkeys(fields, HOSTILE)}, {**going, **fields}, going):
        answer = client.post(filled(action.path), data=given, files=files or None, headers={"accept": "text/html"})
        assert answer.status_code < 500, answer.text
        assert hostile(answer.text) == []
        location = answer.headers.get("location", "/")
        assert location.startswith("/")
        assert not location.startswith(("//", "/\\"))
        if "location" in answer.headers:
            assert hostile(client.get(location, headers={"accept": "text/html"}).text) == []


@pytest.mark.parametrize("action", ACTIONS, ids=lambda one: one.path)
def test_a_change_without_the_sessions_form_is_refused(
    web: Web, persons: dict[Role, httpx.Client], action: Action
) -> None:
    """From another site's page, without the form's token, with another's: for everybody who may change it."""
    role = next(iter(sorted(MEANING[action.rule.name])))
    client = persons[role]
    own = client.headers["x-csrf-token"]
    other = next(person for one, person in persons.items() if one is not role).headers["x-csrf-token"]
    for path in (action.path, api_path(action)):
        for given in ({"x-csrf-token": ""}, {"x-csrf-token": other}, {"x-csrf-token": own[:-1]}):
            answer = client.post(filled(path), headers=given)
            assert (answer.status_code, answer.json()["code"]) == (403, "csrf"), path
        for given in ({"origin": "https://evil.example.org"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}):
            answer = client.post(filled(path), headers=given)
            assert (answer.status_code, answer.json()["code"]) == (403, "origin"), path
        json = client.post(filled(path), json={"csrf": own}, headers={"x-csrf-token": ""})
        assert json.status_code == 403, "JSON of a browser needs the header: another site cannot set it"


def test_tokens_have_the_rights_of_their_roles_and_no_more(web: Web) -> None:
    """At the API, read-only or not; the owner's token reads as an auditor and changes nothing."""
    def token(role: Role, *, read_only: bool) -> str:
        with web.engine.begin() as connection:
            name = f"t-{role}-{read_only}"
            return api_tokens.add_token(connection, name, [role], days=1, read_only=read_only, actor="os:test")

    writes = {role: token(role, read_only=False) for role in (Role.HEAD, Role.EMPLOYEE)}  # the others: test_each_role
    reads = token(Role.FINANCE, read_only=True)
    with web.client() as client:

        def asked_with(asked: Asked, secret: str) -> int:
            answer = client.request(asked.method, filled(asked.path), headers={"authorization": f"Bearer {secret}"})
            assert answer.status_code < 500, f"{asked.name}: {answer.text[:200]}"
            return answer.status_code

        for asked in (one for one in ROUTES if one.is_api):
            may = MEANING[asked.rule] - ({Role.HEAD} if "{department" in asked.path else set())
            for role, secret in writes.items():  # a program's token leads no department by the register
                assert (asked_with(asked, secret) not in (401, 403)) == (role in may), (asked.name, role)
            if asked.method == "POST":
                assert {asked_with(asked, TOKEN), asked_with(asked, reads)} == {403}, asked.name
            else:
                assert (asked_with(asked, TOKEN) not in (401, 403)) == (Role.AUDITOR in may), asked.name


@pytest.mark.parametrize("one", REGISTERED, ids=lambda one: f"{type(one).__name__} {one.path}")
def test_signs_that_no_database_keeps_are_refused(persons: dict[Role, httpx.Client], one: Registered) -> None:
    """NUL, and half of a pair of surrogates, in a path, a query, a form's field, JSON, a file's name."""
    client = persons[min(MEANING[one.rule.name])]
    if isinstance(one, Action):
        texts = [field.name for field in one.fields if field.kind != "file"] or ["x"]
        for name in texts:
            assert client.post(filled(one.path), data={name: "a\0b"}).status_code == 400, name
            body = f'{{"{name}": "\\ud800"}}'
            sent = client.post(filled(api_path(one)), content=body, headers={"content-type": "application/json"})
            assert (sent.status_code, sent.json()["code"]) == (400, "text"), name
    else:
        assert client.get(filled(api_path(one)), params={"x": "a\0b"}).json()["code"] == "text"
        for name in re.findall(r"\{(\w+)", one.path):
            answer = client.get(filled(api_path(one), **{name: "a%00b"}))
            assert answer.status_code in (400, 403, 404), name


def sent_as(web: Web, line: str) -> str:
    """The answer to a request line that no client would send."""
    place = urlsplit(web.url)
    with socket.create_connection((place.hostname, place.port), timeout=30) as connection:
        connection.sendall(f"{line} HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while got := connection.recv(65_536):
            answer += got
    return answer.decode()


@pytest.mark.parametrize(
    "path",
    ["//evil.example.org", "///evil.example.org/a", "/\\evil.example.org", "//evil.example.org/%2e%2e", "/.//evil.org"],
)
def test_no_link_of_a_page_leads_to_another_host(web: Web, path: str) -> None:
    """The language's and theme's links are made of the page's own address."""
    head, _, page = sent_as(web, f"GET {path}").partition("\r\n\r\n")
    assert hostile(page) == []
    assert "evil" not in (re.search(r"location: (.*)", head) or [""])[0].partition("next=")[0]


@pytest.mark.parametrize("view", [one for one in PAGES if not one.rule.is_open], ids=lambda one: one.path)
def test_a_sign_in_leads_back_to_the_page_and_nowhere_else(web: Web, view: View) -> None:
    with web.client() as client:
        location = client.get(filled(view.path), params={"next": "//evil.example.org"}).headers["location"]
        assert location.startswith(f"/sign-in?next={filled(view.path).replace('/', '%2F')}%3Fnext")
        sent = sent_as(web, f"GET {filled(view.path)}?a=b%0d%0aset-cookie:%20x=y")
        assert "set-cookie: x" not in sent.lower()
