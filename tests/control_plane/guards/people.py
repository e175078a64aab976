# ruff: noqa: E501
"""Guards of what happens to people and their accounts over time: declared, mailed, shown, suspended, erased."""

from __future__ import annotations

from tests.control_plane.guards import Guard

_HERE = "control_plane/accounts"
_ENTRY = "control_plane/api/accounts/entry.py"

GUARDS = (
    Guard("ACC-01.3", f"{_HERE}/erasure.py", "connection.execute(people.delete().where(people.c.id == person))", "pass"),
    Guard("ACC-02.1", "control_plane/api/problems.py", '            first["msg"],', "            str(first),"),
    Guard("ACC-02.4", f"{_HERE}/pool.py", "            future = self._pool.submit(self._counted, work)", "            return self._counted(work)"),
    Guard("ACC-03.1", f"{_HERE}/members.py", "audit.record(connection, now, actor=caller.actor, account", 'audit.record(connection, now, actor="system:accounts", account'),
    Guard("ACC-04.5", f"{_HERE}/sign_up.py", "    if row.free:\n        fingerprints", "    if False:\n        fingerprints"),
    Guard("ACC-06.2", f"{_HERE}/sessions.py", ".where(sessions.c.id == session).values(account=account))", ".where(sessions.c.id == session).values(account=sessions.c.account))"),
    Guard("ACC-08.3", f"{_HERE}/sign_up.py", "kind=kind, version=version, language=form.language", 'kind=kind, version="", language=form.language'),
    Guard("ACC-09.3", "control_plane/api/bodies.py", 'ConfigDict(extra="forbid"', 'ConfigDict(extra="ignore"'),
    Guard("ACC-11.1", f"{_HERE}/people.py", ".values(bounced_at=now))", ".values(bounced_at=None))"),
    Guard("ACC-12.2", f"{_HERE}/sign_up.py", 'return _tell(connection, now, setup, form, "sign_up_refused", "refused")', 'raise Conflict("refused", "you are refused")'),
    Guard("ACC-12.3", f"{_HERE}/sign_up.py", '{"link": f"{setup.base_url}/support"}', '{"link": setup.base_url}'),
    Guard("ACC-13.1", f"{_HERE}/sign_up.py", "    if row.free:\n        fingerprints", "    if False:\n        fingerprints"),
    Guard("ACC-13.2", _ENTRY, 'means = "partner" if body.partner else "sign_up"', 'means = "sign_up"'),
    Guard("ACC-15.1", f"{_HERE}/sign_up.py", "    for kind in TEXTS:", "    for kind in form.accepted:"),
    Guard("ACC-15.2", f"{_HERE}/sign_up.py", "address_hash=form.address_hash,", 'address_hash="",'),
    Guard("ACC-16.1", _ENTRY, "    commercial_mail: bool = False", "    commercial_mail: bool = True"),
    Guard("ACC-16.2", f"{_HERE}/people.py", '"picture", "language", "commercial_mail")', '"picture", "language")'),
    Guard("ACC-16.3", f"{_HERE}/resets.py", "if row is not None and row.verified_at is not None:", "if False:"),
    Guard("ACC-20.2", f"{_HERE}/profile.py", "hashlib.sha256(said.encode())", "hashlib.sha256(slug.encode())"),
    Guard("ACC-20.2", "control_plane/api/accounts/account.py", '"Cache-Control": "no-cache"}', '"Cache-Control": "public, max-age=600"}'),
    Guard("ACC-20.5", f"{_HERE}/account.py", 'return Access(False, False, "support", False, "hidden")', 'return Access(False, False, "support", False, "shown")'),
    Guard("ACC-21.2", f"{_HERE}/lifecycle.py", '"reason": row.reason, "ticket": ticket}', '"reason": "", "ticket": ticket}'),
    Guard("ACC-22.1", f"{_HERE}/account.py", '("end_rooms", "hide_profile", "end_sessions", "revoke_keys", "start_window")', '("end_rooms", "hide_profile", "revoke_keys", "start_window")'),
    Guard("ACC-23.1", _ENTRY, '    address: Text = ""', "    address: Text"),
    Guard("ACC-24.1", f"{_HERE}/staff.py", "document=order.document,", 'document=b"",'),
    Guard("PROD-24.1", f"{_HERE}/keys.py", "rights & rights_of(row.scopes))", "rights)"),
    Guard("PROD-24.4", f"{_HERE}/keys.py", 'or not machine.access(row.status, "active").keys:', "or False:"),
    Guard("PROD-30.3", f"{_HERE}/addresses.py", "if text in RESERVED or skeleton(text) in", "if text in RESERVED and skeleton(text) in"),
    Guard("PROD-30.4", f"{_HERE}/people.py", "accounts.c.slug_skeleton == seen, accounts", 'accounts.c.slug_skeleton == seen, accounts.c.status == "open", accounts'),
    Guard("PROD-30.5", f"{_HERE}/people.py", "seen = addresses.skeleton(slug)", "seen = slug"),
)  # fmt: skip
