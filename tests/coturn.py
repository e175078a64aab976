"""A real coturn on loopback, as a process of its own, for tests."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import socket
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.servers import eventually, free_port

SECRET = "a secret of coturn and Stentor"


@dataclass(frozen=True)
class Coturn:
    """URLs by the transport towards it: udp, tcp, tls."""

    urls: dict[str, str]


@contextlib.asynccontextmanager
async def coturn() -> AsyncIterator[Coturn]:
    """Relays to loopback, which only a test's may."""
    port, tls_port = free_port(socket.SOCK_STREAM), free_port(socket.SOCK_STREAM)
    with tempfile.TemporaryDirectory(prefix="stentor-coturn-") as folder:
        certificate, key = _certificate(Path(folder))
        options = {
            "listening-ip": "127.0.0.1", "relay-ip": "127.0.0.1",
            "listening-port": port, "tls-listening-port": tls_port, "cert": certificate, "pkey": key,
            "realm": "stentor.test", "static-auth-secret": SECRET,
            "pidfile": Path(folder) / "pid", "userdb": Path(folder) / "db",
        }  # fmt: skip
        flags = ("use-auth-secret", "fingerprint", "no-cli", "allow-loopback-peers", "no-dtls", "no-software-attribute")
        process = await asyncio.create_subprocess_exec(
            "turnserver", "-n", *(f"--{name}={value}" for name, value in options.items()), *(f"--{f}" for f in flags),
            "--log-file=stdout", stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:

            async def listens() -> bool:
                with contextlib.suppress(OSError):
                    for one in (port, tls_port):
                        _, writer = await asyncio.open_connection("127.0.0.1", one)
                        writer.close()
                    return True
                return False

            await eventually(listens, within_s=15, what="coturn listens")
            yield Coturn(
                {
                    "udp": f"turn:127.0.0.1:{port}?transport=udp",
                    "tcp": f"turn:127.0.0.1:{port}?transport=tcp",
                    "tls": f"turns:localhost:{tls_port}?transport=tcp",
                }
            )
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem", folder / "key.pem"
