"""The certificate of --lan: for whom it stands, how long it is kept, and who may read its key."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from sfu.certificate import LASTS, RENEW_BEFORE, days_left, fingerprint, folder_of, keep, make

NOW = datetime(2026, 5, 1, tzinfo=UTC)
NAMES, ADDRESSES = ["localhost", "attic.local"], ["192.0.2.7", "2001:db8::7", "127.0.0.1"]


def kept(folder: Path, names: list[str] = NAMES, addresses: list[str] = ADDRESSES, at: datetime = NOW) -> bytes:
    return keep(folder, names, addresses, at).certificate.read_bytes()


def test_it_stands_for_all_names_and_addresses_as_a_server_and_no_authority() -> None:
    made = x509.load_pem_x509_certificate(make(NAMES, ADDRESSES, NOW)[0])
    places = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert places.get_values_for_type(x509.DNSName) == NAMES
    assert [str(ip) for ip in places.get_values_for_type(x509.IPAddress)] == ADDRESSES
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert isinstance(made.public_key(), ec.EllipticCurvePublicKey)
    assert made.not_valid_before_utc < NOW < made.not_valid_after_utc
    assert made.not_valid_after_utc - made.not_valid_before_utc < timedelta(days=398)


def test_a_second_start_finds_the_first_ones_so_that_a_browser_asks_only_once(tmp_path: Path) -> None:
    first = kept(tmp_path / "new" / "folder")
    assert kept(tmp_path / "new" / "folder", at=NOW + timedelta(days=300)) == first


def test_an_address_that_went_away_is_no_reason_for_a_new_one_and_one_that_came_is(tmp_path: Path) -> None:
    first = kept(tmp_path)
    assert kept(tmp_path, addresses=["127.0.0.1"]) == first
    assert kept(tmp_path, addresses=[*ADDRESSES, "198.51.100.1"]) != first
    assert kept(tmp_path, names=["localhost", "cellar.local"]) != first


@pytest.mark.parametrize("at", [NOW + LASTS - RENEW_BEFORE, NOW + LASTS, NOW - timedelta(days=2)])
def test_it_is_made_anew_before_it_ends_and_when_it_has_not_begun(tmp_path: Path, at: datetime) -> None:
    first = kept(tmp_path)
    assert kept(tmp_path, at=at) != first
    assert days_left(tmp_path / "certificate.pem", at) == LASTS.days - 1


def test_what_is_cut_short_or_does_not_fit_its_key_is_made_anew(tmp_path: Path) -> None:
    first = kept(tmp_path)
    (tmp_path / "certificate.pem").write_bytes(first[:200])
    second = kept(tmp_path)
    (tmp_path / "key.pem").write_bytes(make(NAMES, ADDRESSES, NOW)[1])
    third = kept(tmp_path)
    assert len({first, second, third}) == 3 and kept(tmp_path) == third


def test_nobody_else_reads_the_key_and_nothing_half_written_is_left(tmp_path: Path) -> None:
    kept(tmp_path / "own")
    assert stat.S_IMODE((tmp_path / "own" / "key.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "own").stat().st_mode) == 0o700
    assert sorted(path.name for path in (tmp_path / "own").iterdir()) == ["certificate.pem", "key.pem"]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        kept(tmp_path / "file")


def test_the_folder_is_the_configured_one_else_the_users_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert folder_of("/srv/keys", {"XDG_DATA_HOME": "/data"}) == Path("/srv/keys")
    assert folder_of("", {"XDG_DATA_HOME": "/data"}) == Path("/data/stentor")
    assert folder_of("", {"XDG_DATA_HOME": "relative"}) == folder_of("", {}) == Path("/home/me/.local/share/stentor")


def test_the_fingerprint_is_written_as_browsers_show_it(tmp_path: Path) -> None:
    kept(tmp_path)
    parts = fingerprint(tmp_path / "certificate.pem").split(":")
    assert len(parts) == 32 and all(len(part) == 2 and part == part.upper() for part in parts)
