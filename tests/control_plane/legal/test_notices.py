"""Customers are told in three ways, and what they do decides which version binds them."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import pytest

from control_plane.errors import NotFound
from control_plane.legal import acceptance, notices
from control_plane.legal.changes import Act
from control_plane.legal.notices import Batch, Notice
from control_plane.storage.store import Store
from tests.control_plane.entries import entry
from tests.control_plane.legal.conftest import LetterBox
from tests.control_plane.legal.given import DAY, MOMENT, NOW, accept, edition, publish

NEW = "2026-11-03"
TOLD = datetime.datetime(2026, 11, 4, 12, tzinfo=datetime.UTC)


@pytest.fixture
def customers(published: Store) -> Store:
    """Ann and Bob accepted the old terms; a new version came out and nobody was told yet."""
    accept(published, NOW)
    accept(published, NOW, person="per_bob", account="acc_bob")
    publish(published, NOW + DAY, edition("terms", NEW))
    return published


def announce(store: Store, letters: LetterBox, at: datetime.datetime = TOLD, version: str = NEW, **which: Any) -> Batch:
    return store.write(
        lambda connection: notices.announce(connection, at, kind="terms", version=version, post=letters, **which)
    )


def of(store: Store, account: str = "acc_ann") -> list[Notice]:
    return store.read(lambda connection: notices.of_account(connection, account))


def binding(store: Store, at: datetime.datetime, kind: str = "terms", account: str = "acc_ann") -> str:
    return store.read(lambda connection: notices.binding(connection, account, kind, at))


def act(store: Store, at: datetime.datetime, what: Act = "host", access: str = "active") -> Sequence[str]:
    """Ann does something with her account."""
    return store.write(
        lambda connection: notices.used(
            connection,
            at,
            account="acc_ann",
            person="per_ann",
            act=what,
            access=access,
            language="pl",
            address_hash="1b",
        )
    )


def end(store: Store, at: datetime.datetime) -> list[Notice]:
    return store.write(lambda connection: notices.ended(connection, at, "acc_ann"))


def test_site_account_and_mail_are_all_three_recorded(customers: Store, letters: LetterBox) -> None:
    assert announce(customers, letters) == Batch(2, "acc_bob")
    (notice,) = of(customers)
    with entry("LEG-03.1"):
        assert notice.on_site_at == NOW + DAY
        assert notice.in_account_at == TOLD
        assert (notice.mailed_at, notice.mail_key) == (TOLD, f"legal:terms:{NEW}:acc_ann")
        assert [(account, template) for account, template, _, _ in letters.sent] == [
            ("acc_ann", "legal_change"),
            ("acc_bob", "legal_change"),
        ]
        assert letters.sent[0][3]["deadline"] == (TOLD + 10 * DAY).isoformat()


def test_nobody_is_told_twice_and_all_are_told_in_the_end(customers: Store, letters: LetterBox) -> None:
    after = ""
    for day, (told, last) in enumerate([(1, "acc_ann"), (1, "acc_bob"), (0, "")]):
        batch = announce(customers, letters, TOLD + day * DAY, after=after, limit=1)
        again = announce(customers, letters, TOLD + 50 * DAY, after=after, limit=1)
        assert (batch, again) == (Batch(told, last), Batch(0, last))
        after = batch.last
    assert [notice.in_account_at for notice in of(customers) + of(customers, "acc_bob")] == [TOLD, TOLD + DAY]
    assert len(letters.sent) == 2


def test_a_mail_that_bounces_is_kept_and_the_notice_stands(customers: Store, letters: LetterBox) -> None:
    announce(customers, letters)
    key = of(customers)[0].mail_key or ""
    customers.write(lambda connection: notices.bounced(connection, TOLD + DAY, key))
    customers.write(lambda connection: notices.bounced(connection, TOLD + 2 * DAY, key))  # the same one told again
    with entry("LEG-03.2"):
        assert of(customers)[0].bounced_at == TOLD + DAY
        assert of(customers, "acc_bob")[0].bounced_at is None
        assert binding(customers, TOLD + 10 * DAY + MOMENT) == NEW, "site and account have told it as well"
    with pytest.raises(NotFound):
        customers.write(lambda connection: notices.bounced(connection, TOLD, "legal:terms:nobody"))


def test_without_a_known_address_the_other_two_ways_remain(customers: Store, letters: LetterBox) -> None:
    letters.unknown.add("acc_ann")
    announce(customers, letters)
    (notice,) = of(customers)
    assert (notice.mailed_at, notice.mail_key, notice.in_account_at) == (None, None, TOLD)


def test_use_accepts_and_an_end_inside_ten_days_keeps_the_old_version(customers: Store, letters: LetterBox) -> None:
    announce(customers, letters)
    assert act(customers, TOLD + DAY) == ["terms"]
    assert act(customers, TOLD + 2 * DAY) == [], "the first use decides"
    with entry("LEG-04.1"):
        assert binding(customers, TOLD + DAY - MOMENT) == "2022-12-15"
        assert binding(customers, TOLD + DAY) == NEW
        kept = end(customers, TOLD + 9 * DAY)
        assert [(notice.kind, notice.change.ended_at) for notice in kept] == [("terms", TOLD + 9 * DAY)]
        assert {binding(customers, TOLD + n * DAY) for n in (1, 5, 9, 11, 300)} == {"2022-12-15"}


def test_use_is_recorded_like_every_acceptance(customers: Store, letters: LetterBox) -> None:
    announce(customers, letters)
    act(customers, TOLD + DAY)
    kept = customers.read(lambda connection: acceptance.of_person(connection, "per_ann"))[-1]
    with entry("LEG-02.1"):
        assert (kept.kind, kept.version, kept.means, kept.at) == ("terms", NEW, "use", TOLD + DAY)
        assert (kept.language, kept.address_hash) == ("en", "1b"), "it is not there in Polish"


def test_whether_a_use_would_accept_anything_is_known_before(customers: Store, letters: LetterBox) -> None:
    def awaited(at: datetime.datetime, account: str = "acc_ann") -> bool:
        return customers.read(lambda connection: notices.awaits_use(connection, at, account))

    assert not awaited(TOLD), "nobody was told yet"
    announce(customers, letters)
    assert awaited(TOLD) and awaited(TOLD + 10 * DAY) and not awaited(TOLD + 10 * DAY + MOMENT)
    act(customers, TOLD + DAY)
    assert not awaited(TOLD + 2 * DAY) and awaited(TOLD + 2 * DAY, "acc_bob")
    end(customers, TOLD + 3 * DAY)


def test_no_use_at_all(customers: Store, letters: LetterBox) -> None:
    announce(customers, letters)
    for what in ("sign_in", "legal", "billing", "privacy", "support", "end"):
        assert act(customers, TOLD + DAY, what) == []
    with entry("LEG-04.2"):
        assert binding(customers, TOLD + 10 * DAY) == "2022-12-15"
        assert binding(customers, TOLD + 10 * DAY + MOMENT) == NEW
        assert end(customers, TOLD + 10 * DAY + MOMENT) == [], "too late"


def test_a_frozen_account_is_bound_after_the_days_only(customers: Store, letters: LetterBox) -> None:
    announce(customers, letters)
    with entry("LEG-04.3"):
        assert act(customers, TOLD + DAY, "host", "frozen") == []
        assert binding(customers, TOLD + 10 * DAY) == "2022-12-15"
        assert binding(customers, TOLD + 10 * DAY + MOMENT) == NEW


def test_prices_in_a_new_version_are_announced_beside_it_with_thirty_days(published: Store, letters: LetterBox) -> None:
    accept(published, NOW)
    publish(published, NOW + DAY, edition("terms", NEW, fees=True))
    announce(published, letters)
    assert act(published, TOLD + DAY) == ["terms"], "use accepts the words, not the prices"
    with entry("LEG-05.1"):
        assert {notice.kind: notice.change.days for notice in of(published)} == {"terms": 10, "fees": 30}
        assert binding(published, TOLD + 2 * DAY) == NEW
        assert binding(published, TOLD + 30 * DAY, "fees") == "2022-12-15"
        assert binding(published, TOLD + 30 * DAY + MOMENT, "fees") == NEW


def test_fees_are_announced_as_the_catalogue_has_them(published: Store, letters: LetterBox) -> None:
    fees = {"plan": "team", "currency": "EUR", "old": 1000, "new": 1200}
    for _ in range(2):  # twice the same does nothing
        published.write(
            lambda connection: notices.announce_fees(
                connection,
                TOLD,
                account="acc_ann",
                prices="price list 2027",
                old_prices="price list 2026",
                fees=fees,
                published_at=NOW,
                in_force_at=NOW + 60 * DAY,
                post=letters,
            )
        )
    (notice,) = of(published)
    assert (notice.fees, notice.version, len(letters.sent)) == (fees, "price list 2027", 1)
    with entry("LEG-05.1"):
        assert binding(published, NOW + 60 * DAY - MOMENT, "fees") == "price list 2026", "30 days, and its own date"
        assert binding(published, NOW + 60 * DAY, "fees") == "price list 2027"
    assert end(published, TOLD + 30 * DAY)[0].kind == "fees"
    assert binding(published, NOW + 90 * DAY, "fees") == "price list 2026"


def test_who_accepted_the_new_version_or_ended_over_one_is_not_told(customers: Store, letters: LetterBox) -> None:
    accept(customers, NOW + 2 * DAY, person="per_eve", account="acc_eve")
    announce(customers, letters)
    assert of(customers, "acc_eve") == []
    end(customers, TOLD + DAY)
    publish(customers, TOLD + DAY, edition("terms", "2026-12-24"))
    announce(customers, letters, TOLD + 60 * DAY, version="2026-12-24")
    assert len(of(customers)) == 1, "the old version is Ann's to the end"
    assert [notice.version for notice in of(customers, "acc_bob")] == ["2026-12-24", NEW]
    accept(customers, TOLD + 61 * DAY)  # she comes back
    assert binding(customers, TOLD + 61 * DAY) == "2026-12-24"


def test_a_version_that_was_never_published_cannot_be_announced(customers: Store, letters: LetterBox) -> None:
    with pytest.raises(NotFound):
        announce(customers, letters, version="2027-01-01")


def test_an_account_that_accepted_nothing_is_bound_by_nothing(customers: Store) -> None:
    assert binding(customers, NOW, account="acc_nobody") == ""
