"""Why Kafka does not let us in: clients wait and end with "no answer", whatever the reason was.

One broker is asked once more, step by step: does it speak TLS, is it who it should be, does it want a certificate, does
it want a user, does it take ours. A broker that is silent is not refusing, and nothing is said of it.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import struct
import time
from typing import TYPE_CHECKING, Any, TypeVar

from confluent_kafka import KafkaError as LibrdkafkaError
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from kafka import errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from producers.broker_access import BrokerAccess

ANSWER_TIMEOUT_S = 2.0
LOGIN_TIMEOUT_S = 5.0
LOGIN_POLL_S = 0.1
TLS_ALERT = 21
"""The first byte of a TLS record that says what is wrong (RFC 8446, section 5.1)."""
HOST_MISMATCHES = frozenset({62, 64})
"""OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH."""
_CLIENT = struct.pack(">h", 7) + b"jangbu?"
_API_VERSIONS = struct.pack(">hhi", 18, 0, 1) + _CLIENT
_METADATA_OF_NOTHING = struct.pack(">hhi", 3, 1, 2) + _CLIENT + struct.pack(">i", 0)
"""Kafka's protocol: key, version, correlation id, client id; what brokers answer to those they know."""
_NO_LOGIN_THERE = "not valid in current SASL state"

_log = logging.getLogger("kafka")
_Client = TypeVar("_Client")


class NotLetIn(errors.KafkaError):  # type: ignore[misc]
    """Kafka answers and takes no request of ours; the message says why and what to check."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence

    def __str__(self) -> str:
        return self.sentence


def let_in(broker: BrokerAccess, connect: Callable[[], _Client]) -> _Client:
    """A client of kafka-python's as `connect` makes it. Raises NotLetIn instead of its timeout where that is known."""
    try:
        return connect()
    except (errors.KafkaTimeoutError, errors.KafkaConnectionError) as error:
        why = refusal(broker)
        if why is None:
            raise
        raise NotLetIn(f"Kafka at {broker} does not let us in: {why}") from error


def refusal(broker: BrokerAccess) -> str | None:
    """The reason and what to check; None where no address answers, or one answers well."""
    context = broker.tls()
    for address in broker.bootstrap.split(","):
        host, _, port = address.strip().rpartition(":")
        try:
            plain = socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_TIMEOUT_S)
        except OSError:
            continue
        with plain:
            plain.settimeout(ANSWER_TIMEOUT_S)
            host = host.strip("[]")
            why = _unanswered(plain, broker) if context is None else _unsecured(plain, context, host, broker)
        if why is None and broker.login is not None:
            why = _login_refused(broker)
        return why
    return None


def _unsecured(plain: socket.socket, context: ssl.SSLContext, host: str, broker: BrokerAccess) -> str | None:
    """What is wrong with a connection by TLS."""
    try:
        secured = context.wrap_socket(plain, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        if error.verify_code in HOST_MISMATCHES:
            return f"its certificate is not for {host}: write the name that it has in JANGBU_KAFKA_BOOTSTRAP"
        authority = broker.authority_file or "the system's authorities"
        why = f"{error.verify_message}, by {authority}"
        return f"its certificate does not hold ({why}): check JANGBU_KAFKA_AUTHORITY_FILE"
    except TimeoutError:
        return None
    except OSError:
        return "it does not speak TLS there: check JANGBU_KAFKA_SECURITY and the port"
    with secured:
        try:
            return _answers_badly(secured, broker)
        except TimeoutError:
            return None
        except OSError as error:  # in TLS 1.3 a broker looks at our certificate after it has shown its own
            if broker.certificate_file is None:
                return f"it asks for a certificate of ours ({error}): set JANGBU_KAFKA_CERTIFICATE_FILE and its key"
            return f"it does not take our certificate ({error}): check JANGBU_KAFKA_CERTIFICATE_FILE"


def _unanswered(plain: socket.socket, broker: BrokerAccess) -> str | None:
    """What is wrong with a connection without TLS."""
    try:
        return _answers_badly(plain, broker)
    except OSError:
        return None


def _answers_badly(connection: socket.socket, broker: BrokerAccess) -> str | None:
    """What is wrong where a broker is asked what it tells everybody, and then what it tells those it knows."""
    first = _answer(connection, _API_VERSIONS)
    if first[:1] == bytes([TLS_ALERT]):
        return "it speaks TLS there: set JANGBU_KAFKA_SECURITY to ssl or sasl_ssl"
    if broker.login is None and first and not _answer(connection, _METADATA_OF_NOTHING):
        return "it asks for a user: set JANGBU_KAFKA_SECURITY to sasl_ssl, with JANGBU_KAFKA_USER and its password"
    return None


def _answer(connection: socket.socket, request: bytes) -> bytes:
    """An answer's first bytes; none where the connection was closed instead."""
    connection.sendall(struct.pack(">i", len(request)) + request)
    found = connection.recv(4)
    if len(found) == 4 and found[0] != TLS_ALERT:
        left = int.from_bytes(found, "big")
        while left > 0 and (part := connection.recv(min(left, 65_536))):
            left -= len(part)
    return found


def _login_refused(broker: BrokerAccess) -> str | None:
    """What a broker says to our user, by librdkafka, which hears it."""
    said: list[str] = []

    def hear(error: Any) -> None:
        if error.code() == LibrdkafkaError._AUTHENTICATION:
            said.append(error.str())

    settings: dict[str, Any] = {**broker.for_librdkafka(), "error_cb": hear, "log_level": 0}
    client = AdminClient(settings, logger=_log)
    deadline_s = time.monotonic() + LOGIN_TIMEOUT_S
    while not said and time.monotonic() < deadline_s:
        with contextlib.suppress(KafkaException):
            client.list_topics(timeout=LOGIN_POLL_S)
            return None
        client.poll(0)
    if not said:
        return None
    if _NO_LOGIN_THERE in said[0]:
        return "it asks for no user there: check JANGBU_KAFKA_SECURITY and the port"
    words = said[0].partition(": ")[2].partition(" (after ")[0]
    return f"{words}; check JANGBU_KAFKA_USER, its password and JANGBU_KAFKA_SASL_MECHANISM"
