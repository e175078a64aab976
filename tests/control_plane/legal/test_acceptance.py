"""Who accepted what: one row a text, with everything that a proof needs."""

from __future__ import annotations

from typing import Any

import pytest

from control_plane.errors import Conflict, Invalid, NotFound
from control_plane.legal import acceptance, texts
from control_plane.legal.acceptance import Acceptance
from control_plane.legal.kinds import Kind
from control_plane.storage.store import Store
from tests.control_plane.entries import entry
from tests.control_plane.legal.given import DAY, NOW, accept, edition, publish


def record(store: Store, **change: Any) -> str:
    """`per_ann` accepts the terms at sign-up, but for what is changed."""
    given: dict[str, Any] = {
        "person": "per_ann",
        "texts": ["terms"],
        "means": "sign_up",
        "language": "en",
        "address_hash": "5f2c",
        "account": "acc_ann",
    } | change
    return store.write(lambda connection: acceptance.record(connection, NOW, **given))


def of_person(store: Store, person: str = "per_ann") -> list[Acceptance]:
    return store.read(lambda connection: acceptance.of_person(connection, person))


def test_an_acceptance_holds_person_text_version_language_means_time_and_address(published: Store) -> None:
    record(published, texts=["affiliate"], means="account", language="pl", address_hash="77aa")
    text = published.read(lambda connection: texts.in_force(connection, "affiliate", "pl", NOW))
    (kept,) = of_person(published)
    with entry("LEG-02.1"):
        assert (kept.person, kept.account) == ("per_ann", "acc_ann")
        assert (kept.kind, kept.version, kept.language) == ("affiliate", "2017-09-18", "pl")
        assert (kept.means, kept.at, kept.address_hash) == ("account", NOW, "77aa")
        assert kept.body_hash == text.body_hash, "which words it were"


def test_accepting_the_terms_names_the_version_of_each_part(published: Store) -> None:
    publish(published, NOW, edition("privacy", "2026-11-01"))
    bundle = record(published)
    kept = published.read(lambda connection: acceptance.of_bundle(connection, bundle))
    with entry("LEG-07.1"):
        assert {(row.kind, row.version) for row in kept} == {
            ("terms", "2022-12-15"),
            ("privacy", "2026-11-01"),
            ("processing", "2022-12-15"),
        }
        assert kept == of_person(published), "one act, one bundle"


def test_the_language_kept_is_the_one_that_was_read(published: Store) -> None:
    record(published, language="ru", texts=["affiliate"])
    assert [row.language for row in of_person(published)] == ["en"]


@pytest.mark.parametrize(
    ("kind", "subject"), [("integration", "calendar of example.org"), ("beta", "automatic subtitles")]
)
def test_an_integration_and_a_beta_function_have_an_acceptance_of_their_own(
    published: Store, kind: Kind, subject: str
) -> None:
    record(published)
    needed = published.read(lambda connection: acceptance.missing(connection, "acc_ann", [kind], subject))
    record(published, texts=[kind], means=kind, subject=subject)
    kept = of_person(published)[-1]
    with entry("LEG-08.1"):
        assert needed == (kind,), "the terms do not cover it"
        assert (kept.kind, kept.version, kept.subject, kept.means) == (kind, "2022-12-15", subject, kind)
        assert (kept.person, kept.language, kept.at, kept.address_hash) == ("per_ann", "en", NOW, "5f2c")
    with entry("LEG-08.1"):
        other = published.read(lambda connection: acceptance.missing(connection, "acc_ann", [kind], "another"))
        assert other == (kind,), "each for itself"


def test_whoever_has_another_version_before_him_accepts_nothing(published: Store) -> None:
    publish(published, NOW, edition("terms", "2026-11-02"))
    with pytest.raises(Conflict) as told:
        record(published, shown={"terms": "2022-12-15", "privacy": "2022-12-15"})
    assert told.value.code == "text_changed" and of_person(published) == []
    record(published, shown={"terms": "2026-11-02", "privacy": "2022-12-15"})
    assert of_person(published)[0].version == "2026-11-02"


def test_what_is_missing_before_a_subscription_is_told(published: Store) -> None:
    def missing() -> tuple[str, ...]:
        return published.read(lambda connection: acceptance.missing(connection, "acc_ann", ["terms", "affiliate"]))

    assert missing() == ("terms", "privacy", "processing", "affiliate")
    accept(published, NOW)
    assert missing() == ("affiliate",)
    publish(published, NOW, edition())
    assert missing() == ("affiliate",), "a new version comes by notice"


def test_an_order_on_paper_names_its_document(published: Store) -> None:
    record(published, means="document", document="file 12/2026")
    assert {row.document for row in of_person(published)} == {"file 12/2026"}


@pytest.mark.parametrize(
    "change",
    [
        {"texts": []},
        {"texts": ["recipes"]},
        {"means": "telepathy"},
        {"subject": "calendar"},
        {"texts": ["beta"], "means": "beta"},
        {"texts": ["beta"], "means": "beta", "subject": "a" * 101},
    ],
)
def test_words_that_are_not_ours_are_refused(published: Store, change: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        record(published, **change)
    assert of_person(published) == []


def test_a_text_that_is_not_published_cannot_be_accepted(store: Store) -> None:
    with pytest.raises(NotFound):
        accept(store, NOW)


def test_accounts_and_persons_are_kept_apart(published: Store) -> None:
    accept(published, NOW)
    accept(published, NOW + DAY, person="per_bob", account=None)
    assert {row.person for row in of_person(published, "per_bob")} == {"per_bob"}
    of_ann = published.read(lambda connection: acceptance.of_account(connection, "acc_ann"))
    assert {row.person for row in of_ann} == {"per_ann"}
