"""Settings of a Kafka that asks who comes: what they become, what is refused and how."""

import ssl
from pathlib import Path

import pytest

from jangbu.errors import SettingsError
from jangbu.settings import explain, load
from jangbu.settings_kafka import set_broker
from producers.broker_access import BrokerAccess
from tests.services.certificates import Authority

PASSWORD = "correct-horse-battery"
WHERE = {"JANGBU_KAFKA_BOOTSTRAP": "k1:9092,k2:9092"}
TLS = {"JANGBU_KAFKA_SECURITY": "ssl"}
SASL = {"JANGBU_KAFKA_SECURITY": "SASL_SSL", "JANGBU_KAFKA_USER": "jangbu"}


def access(tmp_path: Path, environ: dict[str, str], toml: str = "") -> BrokerAccess | None:
    (tmp_path / "jangbu.toml").write_text(toml, encoding="utf-8")
    return set_broker(load(environ=environ, cwd=tmp_path))


def test_nothing_set_is_a_kafka_without_questions(tmp_path: Path) -> None:
    assert access(tmp_path, {}) is None
    assert access(tmp_path, WHERE) == BrokerAccess("k1:9092,k2:9092")
    assert BrokerAccess("k:1").for_librdkafka() == {"bootstrap.servers": "k:1", "security.protocol": "PLAINTEXT"}


def test_each_client_is_told_the_same_by_its_own_names(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "authority")
    pair = authority.sign("client")
    found = access(
        tmp_path,
        WHERE | SASL | {
            "JANGBU_KAFKA_PASSWORD": PASSWORD, "JANGBU_KAFKA_SASL_MECHANISM": "scram-sha-256",
            "JANGBU_KAFKA_AUTHORITY_FILE": "authority.pem", "JANGBU_KAFKA_CERTIFICATE_FILE": str(pair.certificate),
            "JANGBU_KAFKA_KEY_FILE": str(pair.key),
        },
    )  # fmt: skip
    assert found is not None
    assert PASSWORD not in repr(found)
    assert str(found) == "k1:9092,k2:9092"
    assert found.for_librdkafka() == {
        "bootstrap.servers": "k1:9092,k2:9092", "security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-256",
        "sasl.username": "jangbu", "sasl.password": PASSWORD, "ssl.ca.location": str(authority.file),
        "ssl.certificate.location": str(pair.certificate), "ssl.key.location": str(pair.key),
    }  # fmt: skip
    python = found.for_kafka_python()
    context = python.pop("ssl_context")
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert len(context.get_ca_certs()) == 1
    assert python == {
        "bootstrap_servers": ["k1:9092", "k2:9092"], "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-256", "sasl_plain_username": "jangbu", "sasl_plain_password": PASSWORD,
    }  # fmt: skip


def test_a_password_is_read_from_its_file_and_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.touch(mode=0o600)
    file.write_text(f"{PASSWORD}\n", encoding="ascii")
    environ = WHERE | SASL | {"JANGBU_KAFKA_PASSWORD_FILE": "password"}
    found = access(tmp_path, environ)
    assert found is not None
    assert found.login is not None
    assert found.login.password == PASSWORD
    settings = load(environ=WHERE | SASL | {"JANGBU_KAFKA_PASSWORD": PASSWORD}, cwd=tmp_path)
    assert PASSWORD not in repr(settings)
    assert PASSWORD not in str(explain(settings))


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        (TLS, "JANGBU_KAFKA_BOOTSTRAP"),
        ({"JANGBU_KAFKA_USER": "u"}, "JANGBU_KAFKA_BOOTSTRAP"),
        (WHERE | {"JANGBU_KAFKA_SECURITY": "tls"}, "plaintext, ssl, sasl_ssl, sasl_plaintext"),
        (WHERE | {"JANGBU_KAFKA_PASSWORD": PASSWORD}, "JANGBU_KAFKA_SECURITY to sasl_ssl"),
        (WHERE | {"JANGBU_KAFKA_AUTHORITY_FILE": "a"}, "JANGBU_KAFKA_SECURITY to ssl"),
        (WHERE | TLS | {"JANGBU_KAFKA_USER": "u"}, "JANGBU_KAFKA_SECURITY to sasl_ssl"),
        (WHERE | TLS | {"JANGBU_KAFKA_KEY_FILE": "k"}, "JANGBU_KAFKA_CERTIFICATE_FILE is not"),
        (WHERE | TLS | {"JANGBU_KAFKA_CERTIFICATE_FILE": "c"}, "JANGBU_KAFKA_KEY_FILE is not"),
        (WHERE | TLS | {"JANGBU_KAFKA_AUTHORITY_FILE": "a"}, "correct JANGBU_KAFKA_AUTHORITY"),
        (WHERE | SASL, "JANGBU_KAFKA_PASSWORD (or JANGBU_KAFKA_PASSWORD_FILE) is not set"),
        (WHERE | {**SASL, "JANGBU_KAFKA_USER": "", "JANGBU_KAFKA_PASSWORD": PASSWORD}, "JANGBU_KAFKA_USER is not set"),
        (WHERE | SASL | {"JANGBU_KAFKA_PASSWORD": PASSWORD, "JANGBU_KAFKA_PASSWORD_FILE": "p"}, "both set"),
        (WHERE | SASL | {"JANGBU_KAFKA_PASSWORD": "with blank"}, "visible ASCII"),
        (WHERE | SASL | {"JANGBU_KAFKA_PASSWORD_FILE": "missing"}, "cannot be read"),
        (WHERE | SASL | {"JANGBU_KAFKA_PASSWORD_FILE": "open"}, "others may read"),
        (WHERE | SASL | {"JANGBU_KAFKA_SASL_MECHANISM": "GSSAPI"}, "SCRAM-SHA-512, SCRAM-SHA-256, PLAIN"),
        (
            WHERE | SASL | {"JANGBU_KAFKA_SECURITY": "sasl_plaintext", "JANGBU_KAFKA_SASL_MECHANISM": "plain",
                            "JANGBU_KAFKA_PASSWORD": PASSWORD},
            "in clear",
        ),
    ],
)  # fmt: skip
def test_what_contradicts_or_is_missing_is_named(tmp_path: Path, environ: dict[str, str], said: str) -> None:
    (tmp_path / "a").write_text("no certificate", encoding="ascii")
    (tmp_path / "k").touch(mode=0o600)
    (tmp_path / "open").touch(mode=0o644)
    with pytest.raises(SettingsError) as refused:
        access(tmp_path, environ)
    assert said in str(refused.value)
    assert PASSWORD not in str(refused.value)
    assert "with blank" not in str(refused.value)


def test_a_password_in_the_settings_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no place for a password") as refused:
        access(tmp_path, WHERE | SASL, f'kafka_password = "{PASSWORD}"')
    assert PASSWORD not in str(refused.value)


@pytest.mark.parametrize("case", ["sealed", "foreign key", "no certificate", "readable key"])
def test_a_pair_that_cannot_be_used_is_refused_by_name(tmp_path: Path, case: str) -> None:
    """Without asking for a passphrase on the terminal."""
    authority = Authority(tmp_path, "authority")
    pair = authority.sign("client", passphrase=b"0123456789" if case == "sealed" else None)
    key = authority.sign("other").key if case == "foreign key" else pair.key
    if case == "no certificate":
        pair.certificate.write_text("-----BEGIN CERTIFICATE-----\n", encoding="ascii")
    if case == "readable key":
        key.chmod(0o644)
    environ = WHERE | {
        "JANGBU_KAFKA_SECURITY": "ssl", "JANGBU_KAFKA_CERTIFICATE_FILE": str(pair.certificate),
        "JANGBU_KAFKA_KEY_FILE": str(key),
    }  # fmt: skip
    with pytest.raises(SettingsError, match="JANGBU_KAFKA_KEY_FILE"):
        access(tmp_path, environ)
