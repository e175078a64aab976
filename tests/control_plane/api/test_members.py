"""Owner, members and keys: least by default, read at every call, gone at once."""

from __future__ import annotations

import datetime

from control_plane.accounts.members import INVITATION_LASTS
from tests.control_plane import seen
from tests.control_plane.entries import entry
from tests.control_plane.people import TEXTS, World


def test_a_member_begins_with_nothing_and_gets_what_he_is_given_at_the_next_call(here: World) -> None:
    owner = here.customer("owner@example.com", plan="basic")
    joe = here.member(owner, "joe@example.com", [])
    person = joe.me()["person"]
    with entry("ACC-07.1"):
        assert joe.me()["rights"] == []
        refused = joe.call("GET", "/keys")
        assert (refused.status_code, refused.json()["code"]) == (403, "right_missing")
    with entry("ACC-07.3"):
        assert owner.call("PUT", f"/members/{person}/rights", {"rights": ["account"]}).status_code == 204
        assert joe.call("GET", "/keys").status_code == 200
        assert owner.call("PUT", f"/members/{person}/rights", {"rights": []}).status_code == 204
        assert joe.call("GET", "/keys").status_code == 403


def test_nobody_raises_his_own_rights_nor_through_somebody_else(here: World) -> None:
    owner = here.customer("owner@example.com", plan="basic")
    joe = here.member(owner, "joe@example.com", ["members"])
    ann = here.member(owner, "ann@example.com", ["content"])
    joe_id, ann_id, owner_id = joe.me()["person"], ann.me()["person"], owner.me()["person"]

    def code(*call: object) -> str:
        answer = joe.call(*call)  # type: ignore[arg-type]
        assert answer.status_code in (403, 422), answer.text
        return str(answer.json()["code"])

    with entry("ACC-07.2"):
        assert code("PUT", f"/members/{joe_id}/rights", {"rights": ["members", "billing"]}) == "own_rights"
        assert code("PUT", f"/members/{ann_id}/rights", {"rights": ["content", "billing"]}) == "right_missing"
        assert code("PUT", f"/members/{ann_id}/rights", {"rights": []}) == "right_missing"
        assert code("PUT", f"/members/{owner_id}/rights", {"rights": []}) == "owner_stays"
        assert code("DELETE", f"/members/{owner_id}") == "owner_stays"
        assert code("POST", "/invitations", {"email": "x@example.com", "rights": ["billing"]}) == "right_missing"
        assert code("PUT", f"/members/{ann_id}/rights", {"rights": ["everything"]}) == "field_malformed"
        assert (joe.me()["rights"], ann.me()["rights"]) == (["members"], ["content"])
    assert joe.call("PUT", f"/members/{ann_id}/rights", {"rights": ["content", "members"]}).status_code == 204


def test_a_removed_members_sessions_and_keys_die_at_once(here: World) -> None:
    owner = here.customer("owner@example.com", plan="basic")
    joe = here.member(owner, "joe@example.com", ["account", "events"])
    key = joe.call("POST", "/keys", {"name": "k", "scopes": ["events"]}).json()["secret"]
    program = here.stranger()
    program.headers["Authorization"] = f"Bearer {key}"
    assert program.call("GET", "/account").status_code == 200
    with entry("ACC-03.2"):
        assert owner.call("DELETE", f"/members/{joe.me()['person']}").status_code == 204
        assert joe.call("GET", "/me").status_code == 401
        assert (program.call("GET", "/account").status_code, joe.signs_in().status_code) == (401, 403)
    with entry("ACC-03.1"):
        told = {row["code"]: row["actor"] for row in seen.audit(here.store)}
        assert told["member_removed"] == f"person:{owner.me()['person']}"
        assert told["key_made"].startswith("person:per_") and told["key_made"] != told["member_removed"]
        assert all(row["actor"] for row in seen.audit(here.store))


def test_what_a_key_does_names_the_key(here: World) -> None:
    owner = here.customer("owner@example.com")
    made = owner.call("POST", "/keys", {"name": "k", "scopes": ["account"]}).json()
    program = here.stranger()
    program.headers["Authorization"] = f"Bearer {made['secret']}"
    assert program.call("PATCH", "/account", {"business_name": "Acme"}).status_code == 204
    assert seen.audit(here.store, "account_corrected")[-1]["actor"] == f"key:{made['id']}"


def test_the_plan_says_how_many_members_there_are(here: World) -> None:
    owner = here.customer("owner@example.com")  # the free version has room for one
    with entry("ACC-06.1"):
        assert owner.call("POST", "/invitations", {"email": "a@example.com"}).status_code == 201
        full = owner.call("POST", "/invitations", {"email": "b@example.com"})
        assert (full.status_code, full.json()["code"]) == (409, "members_full")
        # The same address again is the same place.
        assert owner.call("POST", "/invitations", {"email": "A@example.com"}).status_code == 201
    [waiting] = owner.call("GET", "/invitations").json()["items"]
    assert owner.call("DELETE", f"/invitations/{waiting['id']}").status_code == 204
    taken_back = here.stranger("a@example.com").accepts_invitation()
    assert (taken_back.status_code, taken_back.json()["code"]) == (410, "token_gone")
    assert owner.call("POST", "/invitations", {"email": "b@example.com"}).status_code == 201


def test_a_member_may_own_an_account_elsewhere_and_looks_at_one_at_a_time(here: World) -> None:
    owner = here.customer("owner@example.com")
    joe = here.customer("joe@example.com", business_name="Joe's")
    own = joe.me()["account"]
    assert owner.call("POST", "/invitations", {"email": "joe@example.com", "rights": ["content"]}).status_code == 201
    stranger = here.stranger("joe@example.com")
    refused = stranger.accepts_invitation(password="a password of a thief")
    assert (refused.status_code, refused.json()["code"]) == (403, "sign_in_first")
    with entry("ACC-06.2"):
        assert joe.accepts_invitation().status_code == 200
        assert (joe.me()["account"], joe.me()["role"]) == (own, "owner")
        [other] = [one["account"] for one in joe.me()["accounts"] if one["account"] != own]
        assert joe.call("PUT", "/me/account", {"account": other}).status_code == 204
        assert (joe.me()["account"], joe.me()["role"], joe.me()["rights"]) == (other, "member", ["content"])
        assert joe.call("PUT", "/me/account", {"account": "acc_aaaa"}).status_code == 404
    assert joe.call("DELETE", "/me/membership").status_code == 204
    joe.signs_in()
    assert joe.me()["account"] == own
    assert joe.call("DELETE", "/me/membership").json()["code"] == "owner_stays"


def test_an_invitation_is_for_adults_who_accept_the_texts_and_ends(here: World) -> None:
    owner = here.customer("owner@example.com", plan="basic")
    owner.call("POST", "/invitations", {"email": "joe@example.com"})
    joe = here.stranger("joe@example.com")
    assert joe.accepts_invitation(adult=False).json()["field"] == "adult"
    assert joe.accepts_invitation(password=None).json()["field"] == "password"
    assert joe.accepts_invitation(accepted={**TEXTS, "terms": "2000-01-01"}).json()["code"] == "text_changed"
    here.clock.advance_to(here.clock.now() + INVITATION_LASTS)
    assert joe.accepts_invitation().json()["code"] == "token_gone"


def test_an_invitation_takes_a_pending_sign_up_of_a_stranger_out_of_the_way(here: World) -> None:
    thief = here.stranger("joe@example.com")
    thief.password = "a password of a thief"
    thief.signs_up()
    link = thief.mailed("verification")
    owner = here.customer("owner@example.com")
    joe = here.member(owner, "joe@example.com", [])
    assert joe.call("POST", "/verifications", {"token": link}).json()["code"] == "token_gone"
    assert thief.signs_in().status_code == 401
    assert joe.me()["role"] == "member"


def test_a_key_has_the_scopes_it_was_given_and_never_more_than_its_maker(here: World) -> None:
    owner = here.customer("owner@example.com", plan="basic")
    joe = here.member(owner, "joe@example.com", ["account", "events"])
    assert joe.call("POST", "/keys", {"name": "k", "scopes": ["billing"]}).json()["code"] == "right_missing"
    assert owner.call("POST", "/keys", {"name": "k", "scopes": ["members"]}).json()["code"] == "scope_unknown"
    made = joe.call("POST", "/keys", {"name": "k", "scopes": ["account"]}).json()
    program = here.stranger()
    program.headers["Authorization"] = f"Bearer {made['secret']}"
    other = joe.call("POST", "/keys", {"name": "other", "scopes": ["events"]}).json()
    without = here.stranger()
    without.headers["Authorization"] = f"Bearer {other['secret']}"
    with entry("PROD-24.1"):
        assert program.call("GET", "/keys").status_code == 200
        assert without.call("GET", "/keys").status_code == 403, "its maker may, the key may not"
        assert program.call("GET", "/members").status_code == 403
        assert program.call("GET", "/me").status_code == 403
        assert program.call("POST", "/keys", {"name": "child", "scopes": []}).status_code == 422
    owner.call("PUT", f"/members/{joe.me()['person']}/rights", {"rights": []})
    assert program.call("GET", "/keys").status_code == 403


def test_a_key_is_turned_over_revoked_and_ends_by_itself(here: World) -> None:
    owner = here.customer("owner@example.com")
    end = (here.clock.now() + datetime.timedelta(hours=1)).isoformat()
    old = owner.call("POST", "/keys", {"name": "old", "scopes": ["events"]}).json()
    new = owner.call("POST", "/keys", {"name": "new", "scopes": ["events"], "expires_at": end}).json()

    def status(key: dict[str, str]) -> int:
        header = {"Authorization": f"Bearer {key['secret']}"}
        return here.stranger().call("GET", "/account", headers=header).status_code

    assert (status(old), status(new)) == (200, 200)
    assert owner.call("DELETE", f"/keys/{old['id']}").status_code == 204
    assert (status(old), status(new)) == (401, 200)
    here.clock.advance_to(here.clock.now() + datetime.timedelta(hours=1))
    assert status(new) == 401
    past = {"name": "past", "scopes": [], "expires_at": "2020-01-01T00:00:00Z"}
    assert owner.call("POST", "/keys", past).json()["code"] == "expired_already"
    assert owner.call("DELETE", f"/keys/{old['id']}").status_code == 404
    assert owner.call("POST", "/keys", {**past, "expires_at": "2026-02-30T00:00:00Z"}).status_code == 422
    assert owner.call("POST", "/keys", {**past, "expires_at": "2027-01-01T00:00:00"}).status_code == 422


def test_other_peoples_things_are_not_there(here: World) -> None:
    owner, other = here.customer("owner@example.com"), here.customer("other@example.com")
    key = owner.call("POST", "/keys", {"name": "k", "scopes": ["events"]}).json()["id"]
    owner.call("POST", "/invitations", {"email": "a@example.com"})
    invitation = owner.call("GET", "/invitations").json()["items"][0]["id"]
    person, session = owner.me()["person"], owner.call("GET", "/sessions").json()["items"][0]["id"]
    for path in (f"/keys/{key}", f"/invitations/{invitation}", f"/members/{person}", f"/sessions/{session}"):
        unknown = path[:-4] + "aaaa"
        answers = [other.call("DELETE", one) for one in (path, unknown)]
        assert [answer.status_code for answer in answers] == [404, 404], path
        assert answers[0].json()["code"] == answers[1].json()["code"]


def test_lists_come_in_pages(here: World) -> None:
    owner = here.customer("owner@example.com")
    for number in range(5):
        owner.call("POST", "/keys", {"name": str(number), "scopes": []})
    names, cursor, pages = [], "", 0
    while cursor is not None:
        page = owner.call("GET", "/keys", params={"limit": 2, "cursor": cursor}).json()
        names += [one["id"] for one in page["items"]]
        cursor, pages = page["next"], pages + 1
    assert (len(set(names)), len(names), pages) == (5, 5, 3)
    assert owner.call("GET", "/keys", params={"cursor": "bm9uZQ"}).json()["field"] == "cursor"
    assert owner.call("GET", "/keys", params={"limit": 0}).json()["field"] == "limit"
    assert owner.call("GET", "/keys", params={"limit": 100000}).status_code == 422
