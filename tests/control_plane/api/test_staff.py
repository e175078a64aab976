"""The staff desk, and what a suspension, a closure and an access to an account do."""

from __future__ import annotations

import base64
import datetime
import hashlib
from typing import Any

import pytest

from control_plane.accounts import lifecycle, people
from control_plane.accounts.setup import Setup
from control_plane.accounts.tables import offline_orders
from control_plane.storage.store import Store
from tests.control_plane import seen
from tests.control_plane.entries import entry
from tests.control_plane.people import FINGERPRINT_KEY, TEXTS, Person, World, world


def suspended(here: World, staff: Person, person: Person) -> str:
    account = str(person.me()["account"])
    body = {"reason": "illegal_content", "ticket": "T-7"}
    answer = staff.call("POST", f"/staff/accounts/{account}/suspend", body)
    assert answer.json() == {"account": account, "status": "suspended"}
    return account


def key_of(person: Person) -> dict[str, str]:
    made = person.call("POST", "/keys", {"name": "k", "scopes": ["events"]}).json()
    return {"Authorization": f"Bearer {made['secret']}"}


def test_a_suspension_is_at_once_logged_with_reason_and_actor_and_a_lift_restores_everything(here: World) -> None:
    staff, jane = here.staff(), here.customer("jane@example.com")
    key = key_of(jane)
    jane.call("PATCH", "/account", {"slug": "jane"})
    before = jane.me()
    account = suspended(here, staff, jane)
    with entry("ACC-21.2"):
        [row] = seen.audit(here.store, "suspended")
        assert (row["actor"], row["account"]) == (f"staff:{staff.me()['person']}", account)
        assert (row["ids"]["reason"], row["ids"]["ticket"]) == ("illegal_content", "T-7")
        assert jane.call("GET", "/account").json()["reason"] == "illegal_content"
    assert seen.media(here.store) == [{"command": "end_rooms", "account": account, "reason": "illegal_content"}]
    stranger = here.stranger()
    with entry("PROD-24.4"):
        assert stranger.call("GET", "/account", headers=key).status_code == 401
    assert jane.me()["rights"] == ["billing"]
    assert jane.call("POST", "/keys", {"name": "k2", "scopes": []}).status_code == 403
    assert stranger.call("GET", "/profiles/jane").status_code == 404
    with entry("ACC-21.3"):
        assert staff.call("POST", f"/staff/accounts/{account}/lift", {"ticket": "T-8"}).json()["status"] == "open"
        assert jane.me() == before
        assert stranger.call("GET", "/account", headers=key).status_code == 200
        assert stranger.call("GET", "/profiles/jane").status_code == 200
    again = staff.call("POST", f"/staff/accounts/{account}/lift", {"ticket": "T-8"})
    assert (again.status_code, again.json()["code"]) == (409, "account_state")


def test_with_the_agreement_ends_all_that_let_in(here: World) -> None:
    staff, jane = here.staff(), here.customer("jane@example.com")
    jane.call("PATCH", "/account", {"slug": "jane"})
    account = jane.me()["account"]
    key = key_of(jane)
    body = {"cause": "terminated", "ticket": "T-9", "abuse": True}
    assert staff.call("POST", f"/staff/accounts/{account}/close", body).json()["status"] == "closed"
    with entry("ACC-22.1"):
        assert jane.call("GET", "/me").status_code == 401
        assert here.stranger().call("GET", "/account", headers=key).status_code == 401
        assert here.stranger().call("GET", "/profiles/jane").status_code == 404
        assert [command["command"] for command in seen.media(here.store)] == ["end_rooms"]
        assert jane.signs_in().json()["code"] == "account_closed"
    # Not the review of his commission: affiliates come later, and put it together with who does it.
    assert [job.kind for job in seen.jobs(here.store)] == ["accounts.purge"]
    back = {"paid": False, "ticket": "T-10"}
    assert staff.call("POST", f"/staff/accounts/{account}/reactivate", back).json()["code"] == "payment_missing"
    assert staff.call("POST", f"/staff/accounts/{account}/reactivate", {**back, "paid": True}).status_code == 200
    assert seen.jobs(here.store, "accounts.purge") == []
    assert jane.signs_in().status_code == 201
    # The keys stay revoked: who reactivates makes new ones.
    assert here.stranger().call("GET", "/account", headers=key).status_code == 401


def test_staff_are_in_an_account_for_a_ticket_for_a_time_and_the_owner_sees_it(here: World) -> None:
    staff, jane = here.staff(), here.customer("jane@example.com", business_name="Jane's")
    account = jane.me()["account"]
    wish = {"account": account, "ticket": "T-1", "reason": "sound is broken", "minutes": 30}
    with entry("ACC-27.1"):
        assert staff.call("POST", "/staff/accesses", {**wish, "ticket": ""}).json()["code"] == "ticket_missing"
        assert staff.call("POST", "/staff/accesses", {**wish, "minutes": 241}).status_code == 422
        access = staff.call("POST", "/staff/accesses", wish).json()["id"]
        inside = {"Stentor-Access": access}
        assert staff.call("GET", "/account", headers=inside).json()["business_name"] == "Jane's"
        assert staff.call("GET", "/members", headers=inside).status_code == 403
        [shown] = jane.call("GET", "/account/staff-accesses").json()["items"]
        assert (shown["ticket"], shown["reason"], shown["ended_at"]) == ("T-1", "sound is broken", None)
        assert seen.mails(here.store, jane.email)[-1]["values"]["ticket"] == "T-1"
        calls = [row["ids"] for row in seen.audit(here.store, "staff_call")]
        assert calls[0] == {"access": access, "ticket": "T-1", "what": "GET:/api/v1/account"}
        here.clock.advance_to(here.clock.now() + datetime.timedelta(minutes=30))
        over = staff.call("GET", "/account", headers=inside)
        assert (over.status_code, over.json()["code"]) == (403, "access_over")
    again = staff.call("POST", "/staff/accesses", wish).json()["id"]
    other = here.staff("desk2@stentor.test")
    assert other.call("GET", "/account", headers={"Stentor-Access": again}).json()["code"] == "access_over"
    assert other.call("DELETE", f"/staff/accesses/{again}").status_code == 404
    assert staff.call("DELETE", f"/staff/accesses/{again}").status_code == 204
    assert staff.call("GET", "/account", headers={"Stentor-Access": again}).status_code == 403
    assert jane.call("GET", "/account", headers={"Stentor-Access": again}).json()["account"] == account


def test_an_order_on_paper_is_stored_with_its_account_and_its_acceptance(here: World) -> None:
    staff = here.staff()
    paper = b"%PDF-1.7 signed by hand"
    order = {
        "email": "jane@example.com",
        "business": True,
        "adult": True,
        "accepted": TEXTS,
        "business_name": "Jane Ltd",
        "document_name": "order.pdf",
        "document": base64.b64encode(paper).decode(),
    }
    assert staff.call("POST", "/staff/accounts", {**order, "document": "!"}).json()["code"] == "document_malformed"
    answer = staff.call("POST", "/staff/accounts", order)
    assert answer.status_code == 201, answer.text
    account = answer.json()["id"]
    with entry("ACC-24.1"):
        [kept] = here.store.read(lambda connection: list(connection.execute(offline_orders.select())))
        assert (kept.account, kept.document, kept.sha256) == (account, paper, hashlib.sha256(paper).hexdigest())
        owner = here.store.read(lambda connection: lifecycle.owner(connection, account))
        assert {one.means for one in seen.acceptances(here.store, owner)} == {"document"}
    assert staff.call("POST", "/staff/accounts", order).json()["code"] == "email_taken"
    jane = here.stranger("jane@example.com")
    assert jane.verifies().json()["password_needed"] is True
    body = {"token": jane.mailed("password_reset"), "password": jane.password}
    assert jane.call("POST", "/password-resets/complete", body).status_code == 204
    assert jane.signs_in().status_code == 201


def test_only_staff_changes_who_owns_an_account(here: World) -> None:
    staff, owner = here.staff(), here.customer("owner@example.com")
    joe = here.member(owner, "joe@example.com", [])
    account, person = owner.me()["account"], joe.me()["person"]
    body = {"person": person, "ticket": "T-3"}
    with entry("ACC-26.1"):
        path = f"/staff/accounts/{account}/owner"
        assert owner.call("PUT", path, body).json()["code"] == "staff_only"
        assert staff.call("PUT", path, {**body, "ticket": "no name, a sentence"}).json()["code"] == "ticket_missing"
        assert staff.call("PUT", path, body).status_code == 204
        assert (owner.me()["role"], owner.me()["rights"], joe.me()["role"]) == ("member", [], "owner")
        [row] = seen.audit(here.store, "owner_changed")
        assert (row["actor"], row["ids"]["ticket"]) == (f"staff:{staff.me()['person']}", "T-3")
    assert staff.call("PUT", path, body).status_code == 404


def test_a_bounced_mail_raises_a_flag(here: World) -> None:
    jane = here.customer("jane@example.com")
    now = here.clock.now()
    with entry("ACC-11.1"):
        assert jane.me()["mail_bounces"] is False
        here.store.write(lambda connection: people.bounced(connection, now, "JANE@example.com"))
        assert jane.me()["mail_bounces"] is True
        assert seen.audit(here.store, "mail_bounced")
    for unknown in ("nobody@example.com", "no address"):
        here.store.write(lambda connection, to=unknown: people.bounced(connection, now, to))  # type: ignore[misc]


def test_corrections_keep_the_old_value_in_the_audits_side_row_alone(here: World) -> None:
    jane = here.customer("jane@example.com", first_name="Jnae", tax_number="PL1234567890")
    assert jane.call("PATCH", "/me", {"first_name": "Jane", "language": "pt-BR"}).status_code == 204
    assert (jane.me()["first_name"], jane.me()["language"]) == ("Jane", "pt_BR")
    [row] = seen.audit(here.store, "person_corrected")
    assert row["personal"] == {"first_name": "Jnae", "language": "en"}
    assert row["ids"]["fields"] == "first_name+language"
    for change, field in (
        ({"tax_number": "", "business_name": ""}, "business_name"),
        ({"time_zone": "Europe/Atlantis"}, "time_zone"),
        ({"slug": "admin"}, "slug"),
        ({"business_name": "Stentor"}, "business_name"),
    ):
        assert jane.call("PATCH", "/account", change).json()["field"] == field
    assert jane.call("PATCH", "/account", {"time_zone": "Europe/Warsaw"}).status_code == 204
    assert jane.call("GET", "/account").json()["time_zone"] == "Europe/Warsaw"


def shown(here: World, slug: str = "jane", **headers: str) -> Any:
    return here.stranger().call("GET", f"/profiles/{slug}", headers=headers)


def test_a_profile_is_public_until_it_or_a_part_of_it_is_hidden(here: World) -> None:
    jane = here.customer("jane@example.com", business_name="Jane's")
    jane.call("PATCH", "/account", {"slug": "jane"})
    parts = {"about": {"text": "I teach."}, "contact": {"text": "+48 1"}}
    assert jane.call("PATCH", "/account/profile", {"parts": parts}).status_code == 204
    first = shown(here)
    assert first.json()["parts"] == {"about": "I teach.", "contact": "+48 1", "events": []}
    with entry("ACC-20.3"):
        assert jane.call("PATCH", "/account/profile", {"parts": {"contact": {"visible": False}}}).status_code == 204
        assert shown(here).json()["parts"] == {"about": "I teach.", "events": []}
        hidden_events = {"parts": {"events": {"visible": False}}}
        assert jane.call("PATCH", "/account/profile", hidden_events).status_code == 204
        assert shown(here).json()["parts"] == {"about": "I teach."}
        assert jane.call("GET", "/account/profile").json()["parts"]["contact"] == {"text": "+48 1", "visible": False}
    fresh = shown(here)
    kept = {"If-None-Match": fresh.headers["etag"]}
    assert shown(here, **kept).status_code == 304
    jane.call("PATCH", "/account/profile", {"public": False})
    with entry("ACC-20.1"):
        hidden, unknown = shown(here).json(), shown(here, "nobody").json()
        assert hidden.pop("request_id") != unknown.pop("request_id")
        assert (hidden, hidden["status"]) == (unknown, 404)
    with entry("ACC-20.2"):
        assert fresh.headers["cache-control"] == "no-cache"
        assert shown(here, **kept).status_code == 404
        assert shown(here).headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("subscription", "status", "notice"), [("active", 200, False), ("frozen", 200, True), ("expired", 404, None)]
)
def test_a_profile_goes_with_the_accounts_standing(
    store: Store, subscription: str, status: int, notice: bool | None
) -> None:
    setup = Setup(FINGERPRINT_KEY, subscription=lambda connection, account: subscription)  # type: ignore[arg-type,return-value]
    with world(store, setup=setup) as here:
        jane = here.customer("jane@example.com")
        jane.call("PATCH", "/account", {"slug": "jane"})
        answer = shown(here)
        with entry("ACC-20.5"):
            assert (answer.status_code, answer.json().get("notice")) == (status, notice)
            suspended(here, here.staff(), jane)
            assert shown(here).status_code == 404


def test_a_slug_is_taken_by_its_look_and_free_only_after_permanent_deletion(here: World) -> None:
    jane, joe = here.customer("jane@example.com"), here.customer("joe@example.com")
    assert jane.call("PATCH", "/account", {"slug": "modern"}).status_code == 204
    with entry("PROD-30.5"):
        for alike in ("rnodern", "m0dern", "mod-ern"):
            assert joe.call("PATCH", "/account", {"slug": alike}).json()["code"] == "slug_taken"
    with entry("PROD-30.3"):
        for reserved in ("admin", "supp0rt"):
            assert joe.call("PATCH", "/account", {"slug": reserved}).json()["code"] == "slug_reserved"
    from tests.control_plane.api.test_entry import close_and_purge

    with entry("PROD-30.4"):
        staff, account = here.staff(), jane.me()["account"]
        staff.call("POST", f"/staff/accounts/{account}/close", {"cause": "cancelled", "ticket": "T"})
        assert joe.call("PATCH", "/account", {"slug": "modern"}).json()["code"] == "slug_taken"
        staff.call("POST", f"/staff/accounts/{account}/reactivate", {"paid": True, "ticket": "T"})
        close_and_purge(here, account)
        joe.signs_in()
        assert joe.call("PATCH", "/account", {"slug": "modern"}).status_code == 204
