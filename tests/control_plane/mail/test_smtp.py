"""Mail to a real SMTP server: TLS or nothing, a mailbox that does not exist is told from a server that is wrong."""

from __future__ import annotations

import contextlib
import datetime
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from control_plane.mail import send
from control_plane.mail.mailbox import KEPT, Mailbox
from control_plane.mail.message import Mail, Sender
from control_plane.mail.smtp import Smtp
from control_plane.running import outbox
from control_plane.running.outbox import Letter, Refused
from control_plane.running.work import Work
from control_plane.storage.store import Store
from tests.control_plane.running.made_up import NOON, SECOND

SENDER = Sender("no-reply@stentor.example")
LETTER = Letter(1, "key", "mail", "acc_a", {}, NOON, 1)


class Server:
    """What it took, and what it says to recipients (by the first part of the address: "550-5.1.1@…")."""

    def __init__(self) -> None:
        self.taken: list[Envelope] = []
        self.says: dict[str, str] = {}

    async def handle_RCPT(self, server: Any, session: Any, envelope: Envelope, address: str, options: Any) -> str:
        if address in self.says:
            return self.says[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:
        self.taken.append(envelope)
        return "250 OK"


@contextlib.contextmanager
def serving(server: Server, **settings: Any) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    controller = Controller(server, hostname="127.0.0.1", port=port, **settings)
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    day, now = datetime.timedelta(days=1), datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path / "certificate.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(*form))
    return path


def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def message(to: str = "jan@example.org") -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "a@stentor.example", to, "Zażółć"
    made.set_content("gęślą jaźń\n.\nafter a dot\n")
    return made


def test_it_arrives_whole_over_starttls_with_a_password(certificate: Path) -> None:
    def check(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        return AuthResult(handled=False, success=(data.login, data.password) == (b"user", b"secret"))

    server = Server()
    settings = {
        "tls_context": tls(certificate),
        "require_starttls": True,
        "authenticator": check,
        "auth_required": True,
    }
    with serving(server, **settings) as port:
        Smtp("localhost", port, "starttls", "user", "secret", trusted=str(certificate)).post(message(), LETTER)
        with pytest.raises(smtplib.SMTPAuthenticationError):
            Smtp("localhost", port, "starttls", "user", "wrong", trusted=str(certificate)).post(message(), LETTER)
    (taken,) = server.taken
    assert (taken.mail_from, taken.rcpt_tos) == ("a@stentor.example", ["jan@example.org"])
    # A line of one dot ends no mail.
    assert isinstance(taken.content, bytes) and taken.content.endswith(b"\r\n.\r\nafter a dot\r\n")


def test_it_arrives_over_tls_from_the_first_byte(certificate: Path) -> None:
    server = Server()
    with serving(server, ssl_context=tls(certificate)) as port:
        Smtp("localhost", port, "tls", trusted=str(certificate)).post(message(), LETTER)
    assert len(server.taken) == 1


def test_nothing_goes_in_the_clear_or_to_a_stranger(certificate: Path) -> None:
    server = Server()
    with serving(server) as port, pytest.raises(smtplib.SMTPNotSupportedError):
        Smtp("localhost", port, "starttls").post(message(), LETTER)
    with serving(server, tls_context=tls(certificate)) as port, pytest.raises(ssl.SSLCertVerificationError):
        Smtp("localhost", port, "starttls").post(message(), LETTER)
    with pytest.raises(ValueError, match="in the clear"):
        Smtp("mail.example.org", security="none", user="user", password="secret")
    assert server.taken == []
    assert "secret" not in repr(Smtp("mail.example.org", user="user", password="secret"))


@pytest.mark.parametrize("says", ["550 5.1.1 <gone@example.org> unknown", "551 moved", "553 5.1.3 no such name"])
def test_a_mailbox_that_does_not_exist_is_a_refusal_without_the_address(says: str) -> None:
    server = Server()
    server.says["gone@example.org"] = says
    with serving(server) as port, pytest.raises(Refused) as refused:
        Smtp("localhost", port, "none").post(message("gone@example.org"), LETTER)
    assert refused.value.code == f"smtp_{says[:3]}"


@pytest.mark.parametrize("says", ["450 4.2.1 later", "451 error", "550 5.7.1 relaying denied", "552 5.2.2 full"])
def test_anything_else_is_tried_again(says: str) -> None:
    server = Server()
    server.says["jan@example.org"] = says
    with serving(server) as port, pytest.raises(smtplib.SMTPRecipientsRefused):
        Smtp("localhost", port, "none").post(message(), LETTER)


def test_a_server_that_says_nothing_is_left() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(smtplib.SMTPServerDisconnected):
        Smtp("127.0.0.1", silent.getsockname()[1], "none", timeout_s=0.3).post(message(), LETTER)


def put(store: Store, to: str, key: str) -> bool:
    mail = Mail(to, "verification", "en", {"link": f"https://stentor.example/{key}"})
    return store.write(lambda connection: send.put(connection, NOON, mail, key, "acc_a"))


def test_from_the_outbox_to_the_server_once_while_it_was_away(store: Store) -> None:
    """Its address is refused, its server was away: nothing is lost, nothing comes twice, the rest goes on."""
    server, bounced = Server(), []
    server.says["gone@example.org"] = "550 5.1.1 unknown"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    put(store, "gone@example.org", "first")
    put(store, "jan@example.org", "second")
    assert not put(store, "jan@example.org", "second")

    def flag(connection: Any, now: datetime.datetime, letter: Letter) -> None:
        bounced.append(send.mail_of(letter.payload).to)

    post = Smtp("127.0.0.1", port, "none").post
    work = Work(store, {}, {"mail": send.deliverer(SENDER, post, flag)})
    assert work.letter("mail", NOON) and not work.letter("mail", NOON)
    controller = Controller(server, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        later = NOON + 10 * SECOND
        assert [work.letter("mail", later) for _ in range(3)] == [True, True, False]
    finally:
        controller.stop()
    assert bounced == ["gone@example.org"]
    (taken,) = server.taken
    assert isinstance(taken.content, bytes) and b"https://stentor.example/second" in taken.content


def test_a_mail_that_cannot_be_written_never_comes_into_the_outbox(store: Store) -> None:
    with pytest.raises(Exception, match="link"):
        store.write(lambda c: send.put(c, NOON, Mail("a@b.de", "verification", "en"), "k", None))
    assert store.read(lambda connection: outbox.next_at(connection, "mail")) is None


def test_the_development_mailbox_keeps_the_last_of_them(store: Store) -> None:
    box = Mailbox()
    work = Work(store, {}, {"mail": send.deliverer(SENDER, box.post)})
    put(store, "jan@example.org", "one")
    put(store, "eve@example.org", "two")
    while work.letter("mail", NOON):
        pass
    assert [kept.key for kept in box.newest()] == ["two", "one"]
    (mine,) = box.newest("jan@example.org")
    assert (mine.subject, mine.at) == ("Please confirm your e-mail address", NOON)
    assert "https://stentor.example/one" in mine.text and "https://stentor.example/one" in mine.html


def test_the_development_mailbox_is_bounded_knows_a_repetition_and_takes_from_any_thread() -> None:
    box = Mailbox()

    def fill(number: int) -> None:
        for each in range(60):
            made = message()
            for _ in range(2):
                box.post(made, Letter(1, f"{number}/{each}", "mail", None, {}, NOON, 1))

    threads = [threading.Thread(target=fill, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    keys = [kept.key for kept in box.newest()]
    assert len(keys) == KEPT == len(set(keys)) == 200
