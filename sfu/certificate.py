"""The certificate that --lan makes for itself, kept between starts so that each browser asks its person only once.

Browsers give camera and microphone to secure pages alone; a machine in a home has no name that an authority would
vouch for. Whoever has a name uses http.certificate_file instead.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# Browsers refuse what lasts longer than 398 days.
LASTS = timedelta(days=397)
# A clock of another device may be behind ours.
BEGINS_BEFORE = timedelta(days=1)
# A certificate with less left than this is made anew at a start; a server that runs longer than that keeps it.
RENEW_BEFORE = timedelta(days=30)


@dataclass(frozen=True)
class Files:
    """PEM files: the certificate with its chain, and its key."""

    certificate: Path
    key: Path


def folder_of(configured: str, environment: dict[str, str]) -> Path:
    """`configured`, else stentor in the user's data folder (XDG base directory specification). Raises RuntimeError."""
    if configured:
        return Path(configured)
    data = environment.get("XDG_DATA_HOME", "")
    return (Path(data) if os.path.isabs(data) else Path.home() / ".local" / "share") / "stentor"


def make(names: Sequence[str], addresses: Sequence[str], now: datetime) -> tuple[bytes, bytes]:
    """(certificate, key) in PEM: ECDSA P-256, self-signed, for TLS servers at these DNS names and IP addresses."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Stentor")])
    places = [x509.DNSName(one) for one in names] + [x509.IPAddress(ipaddress.ip_address(one)) for one in addresses]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BEGINS_BEFORE)
        .not_valid_after(now - BEGINS_BEFORE + LASTS)
        .add_extension(x509.SubjectAlternativeName(places), critical=False)
        # No authority: whoever installs it on a device trusts this server, and nobody that it would vouch for.
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM), key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def keep(folder: Path, names: Sequence[str], addresses: Sequence[str], now: datetime) -> Files:
    """The certificate in `folder`, made first where there is none that serves. Raises OSError.

    It serves when it fits its key, stands for all these names and addresses, and lasts RENEW_BEFORE longer.
    """
    files = Files(folder / "certificate.pem", folder / "key.pem")
    if not _serves(files, names, addresses, now):
        certificate, key = make(names, addresses, now)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(files.key, key, 0o600)
        _write(files.certificate, certificate, 0o644)
    return files


def days_left(certificate: Path, now: datetime) -> int:
    """Whole days until the first certificate of the file ends; negative after. Raises OSError and ValueError."""
    return (x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc - now).days


def fingerprint(certificate: Path) -> str:
    """SHA-256 as browsers show it, "AB:CD:...". Raises OSError and ValueError."""
    return x509.load_pem_x509_certificate(certificate.read_bytes()).fingerprint(hashes.SHA256()).hex(":").upper()


def now_utc(unix_s: float) -> datetime:
    return datetime.fromtimestamp(unix_s, UTC)


def _serves(files: Files, names: Sequence[str], addresses: Sequence[str], now: datetime) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
        key = serialization.load_pem_private_key(files.key.read_bytes(), None)
        places = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, TypeError, x509.ExtensionNotFound):
        # Not there, cut short by a full disk, or somebody else's: a new one takes its place.
        return False
    known = set(places.get_values_for_type(x509.DNSName))
    known |= {str(ip) for ip in places.get_values_for_type(x509.IPAddress)}
    return (
        key.public_key() == certificate.public_key()
        and known.issuperset([*names, *addresses])
        and certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc - RENEW_BEFORE
    )


def _write(path: Path, content: bytes, mode: int) -> None:
    """Whole or not at all, and never readable by others for a moment."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(fresh, path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
