# ruff: noqa: E501
"""Guards of the legal texts."""

from __future__ import annotations

from tests.control_plane.guards import Guard

_LEGAL = "control_plane/legal"

GUARDS = (
    Guard("LEG-01.1", f"{_LEGAL}/texts.py", "texts.c.in_force_at <= at", "texts.c.published_at <= at"),
    Guard("LEG-01.1", f"{_LEGAL}/texts.py", "in_force_at = max(in_force_at, now)", "pass"),
    Guard("LEG-01.2", f"{_LEGAL}/texts.py", "if markdown.body_hash(text.body) != text.body_hash:", "if False:"),
    Guard("LEG-01.2", f"{_LEGAL}/texts.py", ".body_hash != markdown.body_hash(body):", ".body_hash == '':"),
    Guard("LEG-01.2", f"{_LEGAL}/markdown.py", "line.rstrip() for line", "line for line"),
    Guard("LEG-02.1", f"{_LEGAL}/acceptance.py", '"address_hash": address_hash,\n        "at": now,\n    }\n    return _write(connection, act, list', '"address_hash": "",\n        "at": now,\n    }\n    return _write(connection, act, list'),
    Guard("LEG-02.1", f"{_LEGAL}/acceptance.py", '"means": "use",', '"means": "account",'),
    Guard("LEG-03.1", f"{_LEGAL}/texts.py", "        if newest_before[kind]:\n            _announce", "        if False:\n            _announce"),
    Guard("LEG-03.2", "control_plane/letters.py", "if mail.template in notices.TEMPLATES:", "if False:"),
    Guard("LEG-04.1", "control_plane/accounts/lifecycle.py", "    notices.ended(connection, now, row.id)", "    pass"),
    Guard("LEG-04.1", "control_plane/assembly.py", "        uses.note(connection, now, accounts, caller, act)", "        pass"),
    Guard("LEG-04.1", "control_plane/rooms/joining.py", "    if found.use_awaited:", "    if False:"),
    Guard("LEG-03.1", f"{_LEGAL}/notices.py", "mailed_at=now if sent else None", "mailed_at=None"),
    Guard("LEG-03.2", f"{_LEGAL}/notices.py", "sa.func.coalesce(notices.c.bounced_at, sa.literal(now, Instant))", "sa.literal(now, Instant)"),
    Guard("LEG-04.1", f"{_LEGAL}/changes.py", "change.ended_at is not None and change.ended_at <= change.deadline", "change.used_at is None and change.ended_at is not None"),
    Guard("LEG-04.2", "control_plane/accounts/uses.py", "and not caller.ticket and", "and"),
    Guard("LEG-04.2", f"{_LEGAL}/changes.py", "began = change.deadline + MOMENT", "began = change.deadline"),
    Guard("LEG-04.3", f"{_LEGAL}/changes.py", "return act in USES and access in USABLE", "return act in USES"),
    Guard("LEG-05.1", f"{_LEGAL}/changes.py", "FEE_DAYS, by_use=False", "TEXT_DAYS, by_use=False"),
    Guard("LEG-06.1", "control_plane/pages/legal.py", '/{version}/{language}")\n    @need("public")', '/{version}/{language}")\n    @need("person")'),
    Guard("LEG-06.2", "control_plane/pages/legal.py", "PlainTextResponse(text.body, headers", 'PlainTextResponse(text.body + "printed", headers'),
    Guard("LEG-06.3", "control_plane/pages/assets/style.css", ".top, .foot, .skip, nav, form, a[download] { display: none; }", ""),
    Guard("LEG-07.1", f"{_LEGAL}/kinds.py", '{"terms": ("privacy", "processing")}', '{"terms": ("privacy",)}'),
    Guard("LEG-08.1", f"{_LEGAL}/acceptance.py", "if found.subject == subject}", "}"),
    Guard("LEG-09.1", "control_plane/pages/templates/feedback.html", " freely, without payment and without naming you, and we do not treat it as confidential", ""),
    Guard("LEG-09.2", f"{_LEGAL}/feedback.py", "feedback.delete().where(feedback.c.person == person)", "feedback.update().where(feedback.c.person == person).values(person=None)"),
    Guard("LEG-13.1", f"{_LEGAL}/markdown.py", 'token.attrSet("id", anchor)', "pass"),
    Guard("LEG-13.1", f"{_LEGAL}/texts.py", "if original.anchors != edition.anchors:", "if False:"),
)  # fmt: skip
