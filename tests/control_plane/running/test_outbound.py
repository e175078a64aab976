"""The way out to strangers' addresses: it reaches nothing of ours, nothing holds it up, no answer hurts it."""

from __future__ import annotations

import datetime
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from control_plane.errors import Invalid
from control_plane.running import addresses
from control_plane.running.outbound import Answer, Poster
from tests.control_plane.running.receiver import Receiver, never, raw, receiver, says, trickles


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as found:
        yield found


def post(there: Receiver, **settings: float) -> Answer:
    poster = Poster(private=True, within_s=settings.get("within_s", 10.0))
    return poster(f"http://127.0.0.1:{there.port}/hook?a=1", {"x-own": "yes"}, b'{"a":1}')


def test_a_2xx_is_taken(there: Receiver) -> None:
    assert post(there) == Answer(204, "")
    ((headers, body),) = there.requests
    assert (headers["host"], headers["x-own"], body) == (f"127.0.0.1:{there.port}", "yes", b'{"a":1}')


@pytest.mark.parametrize("status", ["400 Bad", "401 No", "410 Gone", "429 Slow", "500 Broken", "503 Away"])
def test_any_other_answer_is_a_failure(there: Receiver, status: str) -> None:
    there.behave = [says(status)]
    assert post(there) == Answer(int(status[:3]), f"answered with status {status[:3]}")


def test_a_redirect_is_not_followed(there: Receiver) -> None:
    with receiver() as inner:
        there.behave = [says("302 Found", f"location: http://127.0.0.1:{inner.port}/admin")]
        assert post(there) == Answer(302, "redirects are not followed")
        assert inner.requests == []


@pytest.mark.parametrize(
    "garbage",
    [b"SSH-2.0-OpenSSH_9.2\r\n", b"\x00\xff" * 50, b"HTTP/1.1 abc OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n"],
)
def test_garbage_is_a_failure(there: Receiver, garbage: bytes) -> None:
    there.behave = [raw(garbage)]
    assert post(there).error in ("the answer is not HTTP", "the connection was closed without an answer")


def test_an_endless_head_is_cut_off(there: Receiver) -> None:
    there.behave = [raw(b"HTTP/1.1 200 OK\r\n", b"x: y\r\n" * 100_000)]
    assert post(there).error


def test_an_endless_body_is_cut_off_and_the_status_counts(there: Receiver) -> None:
    there.behave = [raw(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 300_000)]
    assert post(there) == Answer(200, "")


def test_a_broken_body_after_a_2xx_is_taken_all_the_same(there: Receiver) -> None:
    there.behave = [raw(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzzz\r\n")]
    assert post(there) == Answer(200, "")


def test_a_closed_connection_is_a_failure(there: Receiver) -> None:
    there.behave = [raw(b"")]
    assert post(there) == Answer(None, "the connection was closed without an answer")


def test_who_is_slow_or_only_trickles_is_left_at_the_deadline(there: Receiver) -> None:
    there.behave = [never(there), trickles(there)]
    for _ in range(2):
        began = time.monotonic()
        assert post(there, within_s=0.5) == Answer(None, "no answer within 0.5 seconds")
        assert time.monotonic() - began < 5


def test_nobody_there_is_a_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert Poster(private=True)(f"http://127.0.0.1:{port}/", {}, b"") == Answer(None, "connection refused")


def test_a_name_that_leads_inside_is_refused_before_anything_is_sent(there: Receiver) -> None:
    """All addresses of the name are looked at, whichever would be taken."""
    for found in (["127.0.0.1"], ["93.184.216.34", "10.0.0.7"], ["::ffff:127.0.0.1"], ["169.254.169.254"]):
        family = [(socket.AF_INET6 if ":" in address else socket.AF_INET, address) for address in found]
        poster = Poster(resolve=lambda host, port, family=family: family)  # type: ignore[misc]
        assert poster(f"https://hooks.example:{there.port}/", {}, b"") == Answer(
            None, "the address is not a public one"
        )
    assert there.requests == []


def test_a_name_is_asked_for_once_so_it_cannot_change_its_mind(there: Receiver) -> None:
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[tuple[socket.AddressFamily, str]]:
        asked.append(host)
        return [(socket.AF_INET, "127.0.0.1")]

    assert Poster(private=True, resolve=resolve)(f"http://hooks.example:{there.port}/", {}, b"").status == 204
    assert asked == ["hooks.example"]
    assert there.requests[0][0]["host"] == f"hooks.example:{there.port}"


def test_a_resolver_that_hangs_or_knows_nothing_is_a_failure(there: Receiver) -> None:
    def hangs(host: str, port: int) -> list[tuple[socket.AddressFamily, str]]:
        there.done.wait(60)
        return []

    def nothing(host: str, port: int) -> list[tuple[socket.AddressFamily, str]]:
        raise socket.gaierror

    assert Poster(resolve=hangs, within_s=0.2)("https://a.example/", {}, b"").error == "no answer within 0.2 seconds"
    assert Poster(resolve=nothing)("https://a.example/", {}, b"").error == "the host's name is not known"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """For hooks.example, by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hooks.example")])
    day = datetime.timedelta(days=1)
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path / "certificate.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(*form))
    return path


def test_over_tls_the_certificate_must_be_trusted_and_for_this_name(certificate: Path) -> None:
    def here(host: str, port: int) -> list[tuple[socket.AddressFamily, str]]:
        return [(socket.AF_INET, "127.0.0.1")]

    with receiver(certificate) as there:
        trusting = Poster(private=True, resolve=here, trusted=str(certificate))
        assert trusting(f"https://hooks.example:{there.port}/", {}, b"{}") == Answer(204, "")
        other = trusting(f"https://other.example:{there.port}/", {}, b"{}")
        stranger = Poster(private=True, resolve=here)(f"https://hooks.example:{there.port}/", {}, b"{}")
        assert other == stranger == Answer(None, "the certificate does not hold")
        assert len(there.requests) == 1
    with receiver() as plain:
        brief = Poster(private=True, resolve=here, trusted=str(certificate), within_s=0.5)
        assert brief(f"https://hooks.example:{plain.port}/", {}, b"{}").error


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/",
        "ftp://example.org/",
        "file:///etc/passwd",
        "https://",
        "https:///path",
        "https://user:secret@example.org/",
        "https://example.org/#part",
        "https://example.org:22/",
        "https://example.org:99999/",
        "https://example.org/a b",
        "https://example.org/\r\nx: y",
        "https://exämple.org/",
        "https://127.0.0.1/",
        "https://10.1.2.3/",
        "https://172.16.0.1/",
        "https://192.168.1.1:8443/",
        "https://169.254.169.254/latest/meta-data",
        "https://100.64.0.1/",
        "https://0.0.0.0/",
        "https://224.0.0.1/",
        "https://255.255.255.255/",
        "https://[::1]/",
        "https://[::]/",
        "https://[fe80::1]/",
        "https://[fe80::1%25eth0]/",
        "https://[fd00::1]/",
        "https://[ff02::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[64:ff9b::a00:1]/",
        "https://[2002:a00:1::]/",
        "https://[2001:0:a00:1::]/",
        "https://[::10.0.0.1]/",
        "https://example.org/" + "x" * 2000,
    ],
)
def test_addresses_that_are_no_business_of_a_stranger_are_refused(url: str) -> None:
    with pytest.raises(Invalid) as refused:
        addresses.parse(url)
    assert (refused.value.code, refused.value.field) == ("bad_url", "url")
    assert Poster(within_s=0.5, resolve=lambda host, port: [])(url, {}, b"").status is None


@pytest.mark.parametrize("odd", ["2130706433", "0x7f000001", "127.1", "017700000001", "localhost", "localhost."])
def test_odd_spellings_of_loopback_are_found_when_they_are_resolved(odd: str) -> None:
    """The system's resolver knows them as 127.0.0.1, or as nothing."""
    assert Poster()(f"https://{odd}:8443/", {}, b"").error in (
        "the address is not a public one",
        "the host's name is not known",
    )


def test_public_addresses_are_fine() -> None:
    for url in ("https://example.org", "https://93.184.216.34:8443/a?b=c", "https://[2606:2800:220:1::1]:4433/"):
        addresses.parse(url)
    assert addresses.parse("https://example.org").path == "/"
    assert addresses.parse("https://[2606:2800:220:1::1]:4433/").authority == "[2606:2800:220:1::1]:4433"
