"""Settings: which source wins, what is refused and how, what is shown."""

import dataclasses
import stat
from pathlib import Path

import pytest

from jangbu import settings_values
from jangbu.errors import JangbuError, SettingsError
from jangbu.settings import (
    BY_NAME,
    SPECS,
    Settings,
    explain,
    load,
    resolve_pseudonym_key,
    resolve_token,
    unknown_variables,
    warnings_of,
)

URL = "postgresql://owner:s3cret@db.example:5432/books"


def loaded(tmp_path: Path, toml: str | None = None, **flags: str) -> Settings:
    """Settings from flags and a jangbu.toml, with an empty environment."""
    if toml is not None:
        (tmp_path / "jangbu.toml").write_text(toml, encoding="utf-8")
    return load(flags=dict(flags), environ={}, cwd=tmp_path)


def test_defaults_are_the_contract(tmp_path: Path) -> None:
    settings = loaded(tmp_path)
    assert settings.data_dir == tmp_path / ".jangbu"
    assert (settings.timezone, settings.currency, settings.port) == ("Asia/Seoul", "KRW", 8080)
    assert (settings.topic, settings.partitions, settings.retention_ms) == ("usage.events", 8, -1)
    assert (settings.max_event_ahead_seconds, settings.max_event_back_days) == (3600, 400)
    assert settings.database_url is settings.kafka_bootstrap is settings.token is settings.source is None
    assert settings.embeds_postgres
    assert settings.embeds_kafka
    assert set(settings.origins.values()) == {"default"}


def test_flag_wins_over_environment_over_file_over_default(tmp_path: Path) -> None:
    (tmp_path / "jangbu.toml").write_text('currency = "USD"\nport = 1111\ntopic = "t"\n', encoding="utf-8")
    settings = load(
        flags={"currency": "EUR", "port": None},
        environ={"JANGBU_CURRENCY": "JPY", "JANGBU_PORT": "2222"},
        cwd=tmp_path,
    )
    assert (settings.currency, settings.port, settings.topic, settings.timezone) == ("EUR", 2222, "t", "Asia/Seoul")
    origins = settings.origins
    assert origins["currency"] == "flag --currency"
    assert origins["port"] == "environment JANGBU_PORT"
    assert origins["topic"] == "jangbu.toml"
    assert origins["timezone"] == "default"


def test_empty_environment_variable_counts_as_unset(tmp_path: Path) -> None:
    settings = load(environ={"JANGBU_DATABASE_URL": "", "JANGBU_PORT": ""}, cwd=tmp_path)
    assert settings.database_url is None
    assert settings.port == 8080


def test_named_file_replaces_the_default_one(tmp_path: Path) -> None:
    (tmp_path / "jangbu.toml").write_text("port = 1\n", encoding="utf-8")
    other = tmp_path / "conf" / "other.toml"
    other.parent.mkdir()
    other.write_text('data_dir = "books"\n[gateway]\ndepartment_from = "metadata.team"\n', encoding="utf-8")
    for settings in (
        load(environ={}, cwd=tmp_path, config=Path("conf/other.toml")),
        load(environ={"JANGBU_CONFIG": str(other)}, cwd=tmp_path),
    ):
        assert settings.port == 8080
        # A path in a file is meant from where the file lies.
        assert settings.data_dir == other.parent / "books"
        assert settings.gateway_department_from == "metadata.team"
        assert settings.origins["data_dir"] == str(other)
    with pytest.raises(SettingsError, match=r"absent\.toml does not exist"):
        load(environ={}, cwd=tmp_path, config=Path("absent.toml"))


def test_roles_default_to_the_owner_with_a_warning(tmp_path: Path) -> None:
    reader = "postgresql://reader:x@db.example/books"
    settings = load(environ={"JANGBU_DATABASE_URL": URL, "JANGBU_DATABASE_URL_READER": reader}, cwd=tmp_path)
    assert settings.database_url_worker == settings.database_url_billing == URL
    assert settings.database_url_reader == reader
    warned = warnings_of(settings, {})
    assert [word for word in ("WORKER", "BILLING", "READER") if any(word in told for told in warned)] == [
        "WORKER",
        "BILLING",
    ]
    assert warnings_of(loaded(tmp_path), {}) == []


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("timezone", "Mars/Olympus", "IANA"),
        ("timezone", "Asia/Kolkata", r"\+5.5 hours"),
        ("timezone", "Asia/Kathmandu", r"\+5.75 hours"),
        ("timezone", "Australia/Lord_Howe", r"\+10.5 hours"),
        ("timezone", "../../etc/passwd", "IANA"),
        ("timezone", "", "IANA"),
        ("currency", "won", "ISO 4217"),
        ("currency", "KRWX", "ISO 4217"),
        ("port", "0", "from 1 to 65535"),
        ("port", "65536", "from 1 to 65535"),
        ("port", "80 80", "from 1 to 65535"),
        ("port", "8_080", "from 1 to 65535"),
        ("port", "٨٠٨٠", "from 1 to 65535"),
        ("port", "9" * 400, "from 1 to 65535"),
        ("partitions", "0", "from 1"),
        ("retention_ms", "-2", "from -1"),
        ("max_event_ahead_seconds", "-1", "from 0"),
        ("max_event_back_days", "0", "from 1"),
        ("database_url", "mysql://u@h/d", "postgresql://"),
        ("database_url", "db.example:5432", "postgresql://"),
        ("database_url", "postgresql://u@h", "names no database"),
        ("database_url", "postgresql://u@h:port/d", "wrong port"),
        ("database_url_reader", "postgresql://u@h:99999/d", "wrong port"),
        ("kafka_bootstrap", "broker", "host:port"),
        ("kafka_bootstrap", "a:9092,,b:9092", "host:port"),
        ("kafka_bootstrap", "a:0", "host:port"),
        ("url", "ftp://h", "http://"),
        ("url", "//h", "http://"),
        ("topic", "usage events", "Kafka"),
        ("topic", "..", "Kafka"),
        ("source", " ", "gateway"),
        ("source", "a\nb", "gateway"),
        ("token", "short", "16 visible"),
        ("data_dir", " ", "directory"),
        ("people", "hidden", "named or pseudonyms"),
        ("pseudonym_key", "guessed", "16 visible"),
        ("gateway_department_from", "a b", "field"),
    ],
)
def test_refused_by_name_value_and_remedy(tmp_path: Path, name: str, value: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words) as raised:
        loaded(tmp_path, **{name: value})
    sentence = str(raised.value)
    assert sentence.startswith(f"setting {name} = ")
    assert f"flag {BY_NAME[name].flag}" in sentence
    assert "\n" not in sentence
    assert (repr(value) in sentence) is (not BY_NAME[name].secret)


@pytest.mark.parametrize("zone", ["Asia/Seoul", "UTC", "America/New_York", "Europe/London", "Pacific/Auckland"])
def test_zones_with_whole_hours_are_taken(tmp_path: Path, zone: str) -> None:
    assert loaded(tmp_path, timezone=zone).timezone == zone


@pytest.mark.parametrize(("port", "taken"), [("1", 1), ("65535", 65535)])
def test_ports_at_both_ends(tmp_path: Path, port: str, taken: int) -> None:
    assert loaded(tmp_path, port=port).port == taken


@pytest.mark.parametrize(
    "given", [URL, URL.replace("postgresql", "postgres"), URL.replace("postgresql", "postgresql+psycopg")]
)
def test_spellings_of_a_database_address(tmp_path: Path, given: str) -> None:
    assert loaded(tmp_path, database_url=given).database_url == URL
    assert settings_values.sqlalchemy_url(URL) == URL.replace("postgresql://", "postgresql+psycopg://")


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ('timezome = "UTC"', r"'timezome'.*did you mean timezone"),
        ('[gateway]\nquux = "x"', "'gateway_quux'"),
        ("port = 80.5", "neither a text nor a whole number"),
        ("port = true", "neither a text nor a whole number"),
        ("port = ", "not readable as TOML"),
        ("port = 70000", "from jangbu.toml"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, toml: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        loaded(tmp_path, toml)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "jangbu.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="not readable as TOML"):
        load(environ={}, cwd=tmp_path)


def test_secrets_are_shown_nowhere(tmp_path: Path) -> None:
    token = "a-very-secret-token-of-tests"
    url = "postgresql://owner:s3cret@h/d?sslpassword=k3y"
    settings = loaded(tmp_path, token=token, database_url=url)
    shown = explain(settings)
    told = repr(shown)
    for secret in ("s3cret", "k3y", token):
        assert secret not in told
    for secret in ("s3cret", "k3y", token):
        assert secret not in repr(settings)
    assert [name for name, _, _ in shown] == [spec.name for spec in SPECS]
    assert ("token", "(set, not shown)", "flag --token") in shown
    for bad in ("postgresql://owner:s3cret@h", "mysql://owner:s3cret@h/d"):
        with pytest.raises(SettingsError) as raised:
            loaded(tmp_path, database_url=bad)
        assert "s3cret" not in str(raised.value)
    with pytest.raises(SettingsError) as raised:
        loaded(tmp_path, token="s3cret")
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://u:p@h:1/d", "postgresql://u:***@h:1/d"),
        ("postgresql://u:p/w:x@y@h/d", "postgresql://u:***@h/d"),
        ("postgresql://:p@h/d?PASSWORD=q&a=b", "postgresql://:***@h/d?PASSWORD=***&a=b"),
        ("postgresql://u@h:5432/d", "postgresql://u@h:5432/d"),
        ("broker-1:9092,broker-2:9092", "broker-1:9092,broker-2:9092"),
    ],
)
def test_passwords_are_cut_out_of_addresses(address: str, shown: str) -> None:
    assert settings_values.redacted(address) == shown


def test_every_setting_has_a_field_and_the_other_way_round() -> None:
    assert sorted(spec.name for spec in SPECS) == sorted(
        entry.name for entry in dataclasses.fields(Settings) if entry.name != "origins"
    )


def test_unknown_variables_are_named(tmp_path: Path) -> None:
    environ = {"JANGBU_TIMEZOME": "UTC", "JANGBU_PORT": "1", "OTHER": "1", "JANGBU_TRACE": "1"}
    assert unknown_variables(environ) == ["JANGBU_TIMEZOME"]
    assert any("did you mean JANGBU_TIMEZONE" in told for told in warnings_of(loaded(tmp_path), environ))


def test_token_is_made_once_and_private(tmp_path: Path) -> None:
    settings = loaded(tmp_path)
    token = resolve_token(settings)
    assert len(token) >= 32
    assert resolve_token(settings) == token
    assert stat.S_IMODE(settings.token_file.stat().st_mode) == 0o600
    assert [entry.name for entry in settings.data_dir.iterdir()] == ["token"]
    assert resolve_token(loaded(tmp_path, token="x" * 16)) == "x" * 16
    settings.token_file.write_text("\n", encoding="ascii")
    with pytest.raises(SettingsError, match="delete it"):
        resolve_token(settings)


def test_the_key_of_pseudonyms_is_made_once_private_and_shown_nowhere(tmp_path: Path) -> None:
    settings = loaded(tmp_path, people="pseudonyms")
    assert ("pseudonym_key", f"(in {settings.pseudonym_key_file})", "default") in explain(settings)
    key = resolve_pseudonym_key(settings)
    assert (len(key) >= 32, resolve_pseudonym_key(settings)) == (True, key)
    assert stat.S_IMODE(settings.pseudonym_key_file.stat().st_mode) == 0o600
    given = loaded(tmp_path, people="pseudonyms", pseudonym_key="k" * 16)
    assert resolve_pseudonym_key(given) == "k" * 16
    assert "k" * 16 not in repr(given) + repr(explain(given))
    for content in (b"", b"s3cret", "열쇠는 비밀이다 정말로 그렇다".encode()):
        settings.pseudonym_key_file.write_bytes(content)
        with pytest.raises(SettingsError, match="delete it") as raised:
            resolve_pseudonym_key(settings)
        assert "s3cret" not in str(raised.value)
        assert "xec" not in str(raised.value)  # the first byte of what was not ASCII


def test_settings_are_frozen(tmp_path: Path) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        loaded(tmp_path).port = 1  # type: ignore[misc]


def test_exit_codes_are_the_contract() -> None:
    codes = {cls.__name__: cls.exit_code for cls in JangbuError.__subclasses__()}
    assert JangbuError.exit_code == 1
    assert codes == {
        "UsageError": 2,
        "SettingsError": 3,
        "NotFoundError": 4,
        "RefusedByStateError": 5,
        "WorkLeftError": 6,
        "LawViolatedError": 7,
    }
