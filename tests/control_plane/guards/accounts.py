"""Guards of the accounts area and of the API's doors."""

from __future__ import annotations

from tests.control_plane.guards import Guard

_HERE = "control_plane/accounts/"
_API = "control_plane/api/"

GUARDS = (
    Guard("ACC-01.1", _HERE + "sessions.py", "if one.verified_at is None:", "if False:"),
    Guard("ACC-01.2", _HERE + "addresses.py", "email(typed).casefold())", "email(typed))"),
    Guard("ACC-02.2", _API + "accounts/hashing.py", "if right and self.passwords.out_of_date(", "if False and bool("),
    Guard("ACC-02.3", _HERE + "passwords.py", 'unicodedata.normalize("NFC", password)', "password"),
    Guard("ACC-03.2", _HERE + "members.py", "for table in (sessions, api_keys):", "for table in (api_keys,):"),
    Guard("ACC-04.1", _HERE + "sign_up.py", "used = row.free and", "used = False and"),
    Guard("ACC-04.2", _HERE + "addresses.py", 'local.split("+", 1)[0].replace(".", "")', "local"),
    Guard("ACC-04.3", _HERE + "fingerprints.py", "number := addresses.tax_number(tax_number)", 'number := ""'),
    Guard("ACC-04.4", _HERE + "sign_up.py", "if form.plan == FREE and fingerprints.free_used(", "if False and bool("),
    Guard("ACC-04.6", _HERE + "sign_up.py", "if form.plan == FREE and fingerprints.free_used(", "if False and bool("),
    Guard(
        "ACC-06.1",
        _HERE + "members.py",
        "if places_taken(connection, now, caller.account) >= setup.allowance(connection, caller.account).members:",
        "if places_taken(connection, now, caller.account) >= 1_000:",
    ),
    Guard("ACC-07.1", _API + "doors.py", "        caller.needs(wanted)", "        pass"),
    Guard("ACC-07.2", _HERE + "members.py", "    if person == caller.person:", "    if False:"),
    Guard("ACC-07.3", _HERE + "members.py", '.values(rights=" ".join(sorted(wanted)))', '.values(rights="")'),
    Guard("ACC-08.1", _HERE + "sign_up.py", "if not form.business:", "if False:"),
    Guard("ACC-08.2", _HERE + "sign_up.py", "if not business_name and not number:", "if False:"),
    Guard("ACC-09.1", _HERE + "sign_up.py", "if not form.adult:", "if False:"),
    Guard("ACC-10.1", _HERE + "setup.py", "if plan is None or not plan.on_sale:", "if False:"),
    Guard("ACC-10.2", _HERE + "setup.py", "if plan is None or not plan.on_sale:", "if plan is None:"),
    Guard("ACC-10.3", _HERE + "setup.py", "if currency not in plan.currencies:", "if False:"),
    Guard("ACC-12.1", _HERE + "sign_up.py", "if fingerprints.refused(connection, found):", "if False:"),
    Guard("ACC-14.1", _HERE + "identities.py", "if identity.email_verified and same:", "if same:"),
    Guard(
        "ACC-14.2", _HERE + "identities.py", "if identity.email and _known(connection, identity.email):", "if False:"
    ),
    Guard("ACC-14.3", _HERE + "identities.py", "if not has_password and len(links) == 1:", "if False:"),
    Guard("ACC-20.1", _HERE + "profile.py", "not row.profile_public or ", ""),
    Guard("ACC-20.3", _HERE + "profile.py", 'else bool(found["visible"])', "else True"),
    Guard("ACC-20.4", "control_plane/rooms/events.py", 'room_events.c.listed, room_events.c.access == "open", ', ""),
    Guard(
        "ACC-21.3", _HERE + "account.py", 'status="open", reason=""), ("restore",)', 'status="suspended"), ("restore",)'
    ),
    Guard("ACC-25.1", _API + "middleware.py", 'if scope["scheme"] != "https" and not (', "if False and not ("),
    Guard("ACC-25.2", _API + "accounts/entry.py", "httponly=True,", "httponly=False,"),
    Guard("ACC-26.1", _HERE + "staff.py", '.values(role="member", rights="")', '.values(role="owner", rights="")'),
    Guard("ACC-27.1", _HERE + "staff.py", "or now >= row.expires_at:", "or False:"),
    Guard("ACC-27.1", _HERE + "staff.py", "    fields.ticket(ticket)\n    if not datetime", "    if not datetime"),
)
