"""Coming in over HTTP: from sign-up over the mail to being signed in, and all that must not work."""

from __future__ import annotations

import datetime

import pytest

from control_plane.accounts import account as machine
from control_plane.accounts import lifecycle, sessions
from control_plane.accounts.passwords import Cost
from control_plane.accounts.tables import accounts, declarations, free_uses, people
from control_plane.storage.store import Store
from tests.control_plane import seen
from tests.control_plane.entries import entry
from tests.control_plane.people import CHEAP, FINGERPRINT_KEY, START, TEXTS, World, world


def rows(store: Store, table: object) -> list[object]:
    return store.read(lambda connection: list(connection.execute(table.select())))  # type: ignore[attr-defined]


def close_and_purge(here: World, account: str) -> None:
    """The account is closed now and deleted 30 days later."""
    setup = here.app.state.doors.setup

    def close(connection: object) -> None:
        lifecycle.step(connection, here.clock.now(), setup, account, machine.Close("cancelled"), actor="staff:x")  # type: ignore[arg-type]

    here.store.write(close)
    here.clock.advance_to(here.clock.now() + machine.WINDOW + lifecycle.MOMENT)
    here.store.write(lambda connection: lifecycle.purge_due(connection, here.clock.now(), setup, account))


def test_a_customer_signs_up_verifies_signs_in_and_sees_himself(here: World) -> None:
    jane = here.stranger("jane@example.com")
    answer = jane.signs_up()
    assert (answer.status_code, answer.json()) == (202, {"sent": True})
    assert [mail["template"] for mail in seen.mails(here.store, "jane@example.com")] == ["verification"]
    assert jane.verifies().json()["password_needed"] is False
    assert jane.signs_in().status_code == 201
    me = jane.me()
    assert (me["email"], me["role"]) == ("jane@example.com", "owner")
    assert me["rights"] == ["account", "billing", "content", "events", "members"]


def test_who_has_not_verified_comes_in_by_no_password(here: World) -> None:
    jane = here.stranger("jane@example.com")
    jane.signs_up()
    with entry("ACC-01.1"):
        refused = jane.signs_in()
        assert (refused.status_code, refused.json()["code"]) == (403, "email_unverified")
    jane.password = "something else entirely"
    assert jane.signs_in().json()["code"] == "credentials_wrong"


def test_letter_case_and_spelling_of_the_domain_do_not_matter_for_signing_in(here: World) -> None:
    here.customer("Jane@Bücher.example")
    same = here.stranger("jANE@xn--bcher-kva.EXAMPLE")
    with entry("ACC-01.2"):
        assert same.signs_in().status_code == 201
        assert same.signs_up().status_code == 202
        assert len(rows(here.store, people)) == 1
    other = here.stranger("jane+tag@bücher.example")
    assert other.signs_in().status_code == 401


def test_a_deleted_accounts_address_signs_nobody_in_and_has_no_second_free_account(here: World) -> None:
    jane = here.customer("jane@example.com", tax_number="PL1234567890")
    close_and_purge(here, jane.me()["account"])
    again = here.stranger("jane@example.com")
    with entry("ACC-01.3"):
        assert again.signs_in().json()["code"] == "credentials_wrong"
        assert again.signs_up(plan="basic").status_code == 202
        assert again.verifies().status_code == 200
        assert again.signs_in().status_code == 201
    with entry("ACC-04.5"):
        other = here.stranger("j.ane+new@example.com")
        assert other.signs_up().status_code == 202
        assert seen.mails(here.store, other.email)[-1]["template"] == "free_account_used"
        assert here.stranger("joe@example.com").signs_up(tax_number="PL 123 456 78 90").status_code == 202
        assert seen.mails(here.store, "joe@example.com")[-1]["template"] == "free_account_used"


def test_the_one_free_account_is_found_through_tags_dots_and_tax_numbers(here: World) -> None:
    here.customer("jane.doe@example.com", tax_number="PL1234567890")
    with entry("ACC-04.2"):
        again = here.stranger("janedoe+2@example.com")
        assert again.signs_up().json() == {"sent": True}
        assert [mail["template"] for mail in seen.mails(here.store, again.email)] == ["free_account_used"]
    with entry("ACC-04.3"):
        joe = here.stranger("joe@example.com")
        assert joe.signs_up(tax_number="pl 123-456-78-90").json() == {"sent": True}
        assert [mail["template"] for mail in seen.mails(here.store, joe.email)] == ["free_account_used"]
    assert len(rows(here.store, accounts)) == 1


def test_two_pending_sign_ups_of_one_mailbox_come_to_one_free_account(here: World) -> None:
    one, other = here.stranger("jane+1@example.com"), here.stranger("jane+2@example.com")
    for person in (one, other):
        assert person.signs_up().status_code == 202
    assert one.verifies().status_code == 200
    late = other.verifies()
    assert (late.status_code, late.json()["code"]) == (409, "free_account_used")
    assert other.signs_in().json()["code"] == "email_unverified"


def test_a_free_account_after_a_closed_one_depends_on_how_that_one_began(here: World) -> None:
    upgraded = here.customer("jane@example.com")
    account = upgraded.me()["account"]
    here.store.write(lambda connection: connection.execute(accounts.update().values(plan="basic")))  # billing will
    close_and_purge(here, account)
    paid = here.customer("joe@example.com", plan="basic")
    close_and_purge(here, paid.me()["account"])
    with entry("ACC-04.4"):
        here.stranger("jane@example.com").signs_up()
        assert seen.mails(here.store, "jane@example.com")[-1]["template"] == "free_account_used"
        # He never had the free one: the rule gives it to him once.
        here.stranger("joe@example.com").signs_up()
        assert seen.mails(here.store, "joe@example.com")[-1]["template"] == "verification"


def test_a_trial_through_a_partner_is_the_one_free_account_with_all_its_declarations(here: World) -> None:
    jane = here.customer("jane@example.com", partner="acme")
    [kept] = rows(here.store, accounts)
    assert kept.through == "acme"  # type: ignore[attr-defined]
    with entry("ACC-04.6"):
        here.stranger("jane+direct@example.com").signs_up()
        assert seen.mails(here.store, "jane+direct@example.com")[-1]["template"] == "free_account_used"
    with entry("ACC-13.1"):
        assert rows(here.store, free_uses)
    with entry("ACC-13.2"):
        accepted = seen.acceptances(here.store, jane.me()["person"])
        assert {one.kind: one.means for one in accepted}["terms"] == "partner"
        assert {row.kind for row in rows(here.store, declarations)} == {"business", "adult"}  # type: ignore[attr-defined]
        assert here.stranger("joe@example.com").signs_up(partner="acme", adult=False).status_code == 422


@pytest.mark.parametrize("field", ["business", "adult"])
def test_both_declarations_must_be_made(here: World, field: str) -> None:
    jane = here.stranger("jane@example.com")
    unticked = jane.signs_up(**{field: False})
    absent = {name: value for name, value in jane.form().items() if name != field}
    missing = jane.call("POST", "/sign-ups", absent)
    with entry("ACC-08.1" if field == "business" else "ACC-09.1"):
        assert (unticked.status_code, unticked.json()["code"], unticked.json()["field"]) == (
            422,
            "declaration_missing",
            field,
        )
        assert (missing.status_code, missing.json()["field"]) == (422, field)
        assert rows(here.store, accounts) == []


def test_a_declared_business_has_a_name_or_a_tax_number_and_its_declaration_a_version(here: World) -> None:
    nameless = here.stranger("jane@example.com").signs_up(business_name="", tax_number="")
    with entry("ACC-08.2"):
        assert (nameless.status_code, nameless.json()["code"]) == (422, "business_unnamed")
        assert here.stranger("joe@example.com").signs_up(business_name="", tax_number="PL1234567890").is_success
    with entry("ACC-08.3"):
        kept = {row.kind: (row.version, row.language, row.at) for row in rows(here.store, declarations)}  # type: ignore[attr-defined]
        assert kept["business"] == ("1", "en", START)


def test_nobody_is_asked_for_a_date_of_birth(here: World) -> None:
    said = here.client().get("/api/v1/openapi.json").text.lower()
    with entry("ACC-09.3"):
        assert "birth" not in said
        assert not [column for column in people.c if "birth" in column.name]
        assert here.stranger("jane@example.com").signs_up(date_of_birth="1980-01-01").json()["code"] == "field_unknown"


def test_nothing_optional_blocks_a_sign_up(here: World) -> None:
    jane = here.stranger("jane@example.com")
    with entry("ACC-23.1"):
        mandatory = jane.form()
        assert set(mandatory) == {"email", "password", "business", "adult", "accepted", "business_name"}
        assert jane.call("POST", "/sign-ups", mandatory).status_code == 202
        said = here.client().get("/api/v1/openapi.json").json()["components"]["schemas"]["SignUp"]
        assert set(said["required"]) == {"email", "password", "business", "adult", "accepted"}


def test_texts_are_accepted_in_the_versions_in_force(here: World) -> None:
    jane = here.stranger("jane@example.com")
    with entry("ACC-15.1"):
        without = {name: value for name, value in jane.form().items() if name != "accepted"}
        assert jane.call("POST", "/sign-ups", without).json()["field"] == "accepted"
        assert jane.signs_up(accepted={"terms": TEXTS["terms"]}).json()["code"] == "acceptance_missing"
        assert rows(here.store, accounts) == []
    with entry("ACC-15.3"):
        newer = seen.publish_newer(here.store, here.clock.now(), "terms")
        refused = jane.signs_up()
        assert (refused.status_code, refused.json()["code"]) == (409, "text_changed")
    person = here.customer("joe@example.com", accepted={**TEXTS, "terms": newer}, language="de").me()["person"]
    with entry("ACC-15.2"):
        [terms] = [one for one in seen.acceptances(here.store, person) if one.kind == "terms"]
        assert (terms.version, terms.at, terms.person, terms.means) == (newer, here.clock.now(), person, "sign_up")
        assert terms.language in ("de", "en")  # the language the text is there in
        assert len(terms.address_hash) == 64


@pytest.mark.parametrize(
    ("name", "form", "field"),
    [
        ("ACC-10.1", {"plan": "golden"}, "plan"),
        ("ACC-10.2", {"plan": "retired"}, "plan"),
        ("ACC-10.3", {"plan": "basic", "currency": "CHF"}, "currency"),
    ],
)
def test_only_a_plan_on_sale_in_that_currency_is_taken(
    store: Store, name: str, form: dict[str, str], field: str
) -> None:
    from control_plane.accounts.setup import PLANS, Plan, Setup

    retired = {**PLANS, "retired": Plan("retired", on_sale=False)}
    with world(store, setup=Setup(FINGERPRINT_KEY, plans=retired)) as here, entry(name):
        refused = here.stranger("jane@example.com").signs_up(**form)
        assert (refused.status_code, refused.json()["field"]) == (422, field)
        assert rows(store, accounts) == []


def test_commercial_mail_is_a_choice_that_costs_nothing(here: World) -> None:
    jane = here.customer("jane@example.com")
    with entry("ACC-16.1"):
        assert jane.me()["commercial_mail"] is False
    assert jane.call("PATCH", "/me", {"commercial_mail": True}).status_code == 204
    with entry("ACC-16.2"):
        assert jane.me()["commercial_mail"] is True
        assert jane.call("PATCH", "/me", {"commercial_mail": False}).status_code == 204
        assert jane.me()["commercial_mail"] is False
    with entry("ACC-16.3"):
        assert jane.call("POST", "/password-resets", {"email": jane.email}).status_code == 202
        assert seen.mails(here.store, jane.email)[-1]["template"] == "password_reset"


def test_a_second_sign_up_of_an_unverified_address_lets_no_stranger_in(here: World) -> None:
    jane, thief = here.stranger("jane@example.com"), here.stranger("jane@example.com")
    thief.password = "the thief's own pass phrase"
    jane.signs_up()
    first = jane.mailed("verification")
    thief.signs_up()
    assert jane.call("POST", "/verifications", {"token": first}).json()["code"] == "token_gone"
    assert jane.verifies().json()["password_needed"] is True
    for person in (jane, thief):
        assert person.signs_in().json()["code"] == "credentials_wrong"
    jane.password = "the very new pass phrase"
    body = {"token": jane.mailed("password_reset"), "password": jane.password}
    assert jane.call("POST", "/password-resets/complete", body).status_code == 204
    assert jane.signs_in().status_code == 201


def test_a_mailed_token_works_once_and_not_for_ever(here: World) -> None:
    jane, joe = here.stranger("jane@example.com"), here.stranger("joe@example.com")
    jane.signs_up()
    joe.signs_up()
    assert jane.verifies().status_code == 200
    assert (jane.verifies().status_code, jane.verifies().json()["code"]) == (410, "token_gone")
    forged = joe.call("POST", "/verifications", {"token": "mt_" + "a" * 40})
    assert (forged.status_code, forged.json()["code"]) == (422, "token_unknown")
    here.clock.advance_to(START + datetime.timedelta(hours=48))
    assert joe.verifies().json()["code"] == "token_gone"
    assert joe.call("POST", "/sign-ups/mail", {"email": joe.email}).status_code == 202
    assert joe.verifies().status_code == 200


def test_a_reset_ends_every_session_and_its_token_verifies_nothing(here: World) -> None:
    jane = here.customer("jane@example.com")
    jane.call("POST", "/password-resets", {"email": jane.email})
    token = jane.mailed("password_reset")
    assert jane.call("POST", "/verifications", {"token": token}).json()["code"] == "token_unknown"
    assert jane.call("POST", "/password-resets/complete", {"token": token, "password": "short"}).status_code == 422
    assert jane.call("POST", "/password-resets/complete", {"token": token, "password": "a new long phrase"}).is_success
    assert jane.call("GET", "/me").status_code == 401
    assert jane.signs_in().status_code == 401
    jane.password = "a new long phrase"
    assert jane.signs_in().status_code == 201


def test_parameters_are_upgraded_at_the_next_sign_in(store: Store) -> None:
    def kept() -> str:
        return str(store.read(lambda connection: connection.execute(people.select()).one()).password_hash)

    with world(store) as here:
        here.customer("jane@example.com")
        assert "m=8,t=1" in kept()
    with world(store, cost=Cost(passes=2, memory_kib=16, lanes=1)) as here, entry("ACC-02.2"):
        jane = here.stranger("jane@example.com")
        assert jane.signs_in().status_code == 201
        assert "m=16,t=2" in kept()
        assert jane.signs_in().status_code == 201
    assert CHEAP.passes == 1


def test_sessions_end_by_idleness_by_age_and_by_hand(here: World) -> None:
    jane = here.customer("jane@example.com")
    here.clock.advance_to(START + sessions.IDLE_LASTS - lifecycle.MOMENT)
    assert jane.call("GET", "/me").status_code == 200
    here.clock.advance_to(START + sessions.IDLE_LASTS * 2 - lifecycle.MOMENT * 2)
    assert jane.call("GET", "/me").status_code == 200
    here.clock.advance_to(START + sessions.IDLE_LASTS * 3)
    over = jane.call("GET", "/me")
    assert (over.status_code, over.json()["code"]) == (401, "session_over")
    jane.signs_in()
    began = here.clock.now()
    while here.clock.now() + sessions.IDLE_LASTS / 2 < began + sessions.LASTS:
        here.clock.advance_to(here.clock.now() + sessions.IDLE_LASTS / 2)
        assert jane.call("GET", "/me").status_code == 200
    here.clock.advance_to(began + sessions.LASTS)
    assert jane.call("GET", "/me").status_code == 401
    jane.signs_in()
    other = here.stranger(jane.email)
    other.signs_in()
    listed = jane.call("GET", "/sessions").json()["items"]
    assert [one["current"] for one in listed].count(True) == 1
    [away] = [one["id"] for one in listed if not one["current"]]
    assert jane.call("DELETE", f"/sessions/{away}").status_code == 204
    assert other.call("GET", "/me").status_code == 401
    assert jane.call("DELETE", f"/sessions/{away}").status_code == 404
    assert jane.call("DELETE", "/sessions/ses_current").status_code == 204
    assert jane.call("GET", "/me").status_code == 401


def test_a_new_password_needs_the_old_one_and_ends_the_other_sessions(here: World) -> None:
    jane = here.customer("jane@example.com")
    other = here.stranger(jane.email)
    other.signs_in()
    wrong = jane.call("PUT", "/me/password", {"old": "not this one", "password": "a new long phrase"})
    assert (wrong.status_code, wrong.json()["field"]) == (422, "old")
    assert jane.call("PUT", "/me/password", {"old": jane.password, "password": "a new long phrase"}).status_code == 204
    assert jane.call("GET", "/me").status_code == 200
    assert other.call("GET", "/me").status_code == 401


def test_a_pending_sign_up_lapses_and_its_address_is_free_again(here: World) -> None:
    jane = here.stranger("jane@example.com")
    jane.signs_up()
    [job] = seen.jobs(here.store, "accounts.purge")
    assert job.due_at == START + machine.PENDING_LASTS + lifecycle.MOMENT
    setup = here.app.state.doors.setup
    for _ in range(2):  # twice changes nothing
        try:
            here.store.write(lambda connection: lifecycle.purge_due(connection, job.due_at, setup, job.account))
        except Exception as error:
            pytest.fail(str(error))
    assert rows(here.store, people) == []
    assert [row.status for row in rows(here.store, accounts)] == ["deleted"]  # type: ignore[attr-defined]
    assert here.customer("jane@example.com").me()["email"] == "jane@example.com"
