"""Every mail of this area can be written: its template is there, and has all the values that it asks for."""

from __future__ import annotations

import sqlalchemy as sa

from control_plane.mail.message import Mail, Sender, compose
from control_plane.running.tables import outbox
from tests.control_plane import seen
from tests.control_plane.people import START, World

OURS = {
    "already_customer", "free_account_used", "invitation", "owner_changed", "password_changed", "password_reset",
    "sign_up_refused", "staff_access", "verification", "welcome",
}  # fmt: skip
# Their readers look for them now.
AWAITED = {"already_customer", "free_account_used", "invitation", "password_reset", "sign_up_refused", "verification"}


def test_each_mail_has_its_template_and_its_values(here: World) -> None:
    staff, jane = here.staff(), here.customer("jane@example.com", language="pl")
    jane.signs_up()
    here.stranger("jane+2@example.com").signs_up()
    staff.call("POST", "/staff/bans", {"email": "bad@example.com"})
    here.stranger("bad@example.com").signs_up()
    joe = here.member(jane, "joe@example.com", [])
    account = jane.me()["account"]
    staff.call("POST", "/staff/accesses", {"account": account, "ticket": "T-1", "reason": "asked", "minutes": 5})
    staff.call("PUT", f"/staff/accounts/{account}/owner", {"person": joe.me()["person"], "ticket": "T-1"})
    jane.call("POST", "/password-resets", {"email": jane.email})
    body = {"token": jane.mailed("password_reset"), "password": "a new long phrase"}
    assert jane.call("POST", "/password-resets/complete", body).status_code == 204
    mails = seen.mails(here.store)
    assert {mail["template"] for mail in mails} == OURS
    wanted = sa.select(outbox.c.payload).where(outbox.c.kind == "mail", outbox.c.awaited)
    awaited = here.store.read(lambda connection: connection.scalars(wanted).all())
    assert {mail["template"] for mail in awaited} == AWAITED
    for number, one in enumerate(mails):
        written = compose(Mail(**one), Sender("desk@stentor.test"), key=str(number), at=START).as_string()
        assert f"To: {one['to']}" in written
