"""Sign-up and verification. What is answered never depends on who is a customer: that is told by mail alone (ACC-12).

The whole of a sign-up is one transaction, and so is a verification. Between them the account is `pending`; the free
account counts as used from the verification on, because nobody may use up what belongs to a mailbox he cannot read.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

import sqlalchemy as sa

from control_plane.accounts import account as machine
from control_plane.accounts import addresses, fields, fingerprints, lifecycle, mailed
from control_plane.accounts.setup import Setup
from control_plane.accounts.tables import accounts, declarations, identity_links, memberships, people
from control_plane.accounts.tokens import new_id
from control_plane.billing.catalogue import FREE
from control_plane.errors import Conflict, Invalid
from control_plane.legal import acceptance, texts
from control_plane.legal.kinds import Kind, Means
from control_plane.mail import send
from control_plane.mail.message import Mail
from control_plane.running import audit, jobs

# What is declared, and in which wording (a new wording gets a new version; the old one stays with who said it).
DECLARATIONS: Mapping[str, str] = {"business": "1", "adult": "1"}
# Their parts are accepted with them (LEG-07).
TEXTS: tuple[Kind, ...] = ("terms", "privacy")
Outcome = Literal["pending", "known", "refused", "free_used"]


@dataclass(frozen=True)
class Form:
    """What somebody fills in. Mandatory: e-mail, a business name or a tax number, both declarations, and the versions
    of the texts he was shown. `means` is one of control_plane.legal.kinds.Means."""

    email: str
    business: bool = False
    adult: bool = False
    accepted: Mapping[str, str] = field(default_factory=dict)  # text kind -> version shown
    business_name: str = ""
    tax_number: str = ""
    first_name: str = ""
    last_name: str = ""
    address: str = ""
    phone: str = ""
    time_zone: str = "UTC"
    language: str = "en"
    plan: str = FREE
    currency: str = "USD"
    commercial_mail: bool = False  # opt-in, and never needed (ACC-16)
    through: str = ""  # the partner who brings him (ACC-13)
    means: str = "sign_up"
    address_hash: str = ""  # of the network address, for the acceptance record


def sign_up(
    connection: sa.Connection, now: datetime.datetime, setup: Setup, form: Form, password_hash: str | None
) -> Outcome:
    """Begin an account, or mail to the address why there is none. The caller tells strangers nothing of the outcome.
    Raises Invalid or Conflict for what does not depend on other customers: fields, declarations, texts."""
    form = checked(connection, now, setup, form)
    found = fingerprints.of(setup.fingerprint_key, email=form.email, tax_number=form.tax_number)
    person = connection.execute(
        people.select().where(people.c.email_key == addresses.sign_in_key(form.email))
    ).one_or_none()
    if fingerprints.refused(connection, found):
        audit.record(connection, now, actor="visitor", account=None, code="sign_up_refused", ids={})
        return _tell(connection, now, setup, form, "sign_up_refused", "refused")
    if person is not None and person.verified_at is not None:
        return _tell(connection, now, setup, form, "already_customer", "known")
    if form.plan == FREE and fingerprints.free_used(connection, found):
        return _tell(connection, now, setup, form, "free_account_used", "free_used")
    if person is None:
        begin(connection, now, setup, form, password_hash)
    else:
        _begin_again(connection, now, setup, form, password_hash, person.id)
    return "pending"


def checked(connection: sa.Connection, now: datetime.datetime, setup: Setup, form: Form) -> Form:
    """The form made normal. Raises Invalid with the field, or Conflict `text_changed` (ACC-08, -09, -10, -15)."""
    if not form.business:
        raise Invalid(
            "declaration_missing", "only businesses can be customers: this must be declared", field="business"
        )
    if not form.adult:
        raise Invalid("declaration_missing", "only adults can be customers: this must be declared", field="adult")
    number = addresses.tax_number(form.tax_number)
    business_name = addresses.name(form.business_name, "business_name")
    if not business_name and not number:
        raise Invalid("business_unnamed", "a business has a name or a tax number", field="business_name")
    for kind in TEXTS:
        if kind not in form.accepted:
            raise Invalid("acceptance_missing", "terms and privacy policy must be accepted first", field="accepted")
        if form.accepted[kind] != texts.in_force(connection, kind, form.language, now).version:
            raise Conflict("text_changed", "a newer version of the text is in force: read it first", field="accepted")
    setup.plan_for_sale(form.plan, form.currency)
    return replace(
        form,
        email=addresses.email(form.email),
        tax_number=number,
        time_zone=fields.time_zone(form.time_zone),
        language=fields.language(form.language),
        business_name=business_name,
        first_name=addresses.name(form.first_name, "first_name"),
        last_name=addresses.name(form.last_name, "last_name"),
    )


def begin(
    connection: sa.Connection,
    now: datetime.datetime,
    setup: Setup,
    form: Form,
    password_hash: str | None,
    *,
    kind: Literal["self", "consultant"] = "self",
    actor: str | None = None,
) -> tuple[str, str]:
    """A pending account with its owner; returns (account, person). The form is a checked one. `actor` is who fills it
    in for him (ACC-24)."""
    free = form.plan == FREE
    begun = machine.SignUp(business=form.business, adult=form.adult, accepted=True, free=free)
    state, effects = machine.apply(machine.Account(), begun, now)
    account, person = new_id("acc", setup.draw), new_id("per", setup.draw)
    actor = actor or f"person:{person}"
    connection.execute(
        accounts.insert().values(
            id=account,
            version=1,
            status=state.status,
            kind=kind,
            free=state.free,
            profile={},
            profile_public=True,  # ACC-20: public by default
            reason="",
            created_at=now,
            **_account_values(form),
        )
    )
    connection.execute(
        people.insert().values(
            id=person,
            email_key=addresses.sign_in_key(form.email),
            contested=False,
            password_hash=password_hash,
            picture="",
            created_at=now,
            **_person_values(form),
        )
    )
    connection.execute(
        memberships.insert().values(account=account, person=person, role="owner", rights="", created_at=now)
    )
    _declare(connection, now, form, account, person)
    lifecycle.carry_out(connection, now, setup, account, effects, actor=actor, code="signed_up")
    due = now + machine.PENDING_LASTS + lifecycle.MOMENT
    jobs.put(connection, kind="accounts.purge", key=f"purge:{account}:pending", due_at=due, account=account)
    return account, person


def _begin_again(
    connection: sa.Connection,
    now: datetime.datetime,
    setup: Setup,
    form: Form,
    password_hash: str | None,
    person: str,
) -> None:
    """A second sign-up of an address that nobody has verified. Either of the two may be a stranger, so what the first
    one typed goes, and no password of theirs will hold: the mailbox's reader sets one after the verification."""
    account = connection.scalar(sa.select(memberships.c.account).where(memberships.c.person == person))
    connection.execute(
        accounts.update()
        .where(accounts.c.id == account)
        .values(free=form.plan == FREE, version=accounts.c.version + 1, **_account_values(form))
    )
    connection.execute(
        people.update()
        .where(people.c.id == person)
        .values(contested=True, password_hash=password_hash, **_person_values(form))
    )
    connection.execute(declarations.delete().where(declarations.c.account == account))
    connection.execute(identity_links.delete().where(identity_links.c.person == person))
    _declare(connection, now, form, account, person)
    audit.record(connection, now, actor="visitor", account=account, code="signed_up_again", ids={"person": person})
    mailed.send_token(connection, now, setup, "verify", person, account)


@dataclass(frozen=True)
class Verified:
    """`password_needed`: a mail with a link to set one is on its way."""

    account: str
    person: str
    password_needed: bool


def verify(connection: sa.Connection, now: datetime.datetime, setup: Setup, secret: str) -> Verified:
    """Open the account that this mailed token belongs to. Raises Invalid, Gone, or Conflict `free_account_used`."""
    token = mailed.use(connection, now, "verify", secret)
    return open_account(connection, now, setup, token.account, token.person)


def open_account(
    connection: sa.Connection, now: datetime.datetime, setup: Setup, account: str, person: str
) -> Verified:
    """Open a pending account whose owner's address is known to be his."""
    one = connection.execute(people.select().where(people.c.id == person)).one()
    row = connection.execute(accounts.select().where(accounts.c.id == account)).one()
    found = fingerprints.of(setup.fingerprint_key, email=one.email, tax_number=row.tax_number)
    used = row.free and fingerprints.free_used(connection, found)
    lifecycle.step(connection, now, setup, account, machine.Verify(free_used=used), actor=f"person:{person}")
    if row.free:
        fingerprints.use_free(connection, now, account, found)
    password_hash = None if one.contested else one.password_hash
    connection.execute(
        people.update()
        .where(people.c.id == person)
        .values(verified_at=now, contested=False, password_hash=password_hash)
    )
    if one.contested:
        mailed.send_token(connection, now, setup, "reset", person)
    return Verified(account, person, one.contested)


def open_pending(connection: sa.Connection, now: datetime.datetime, setup: Setup, person: str) -> Verified:
    """Open the pending account of a person whose address somebody trustworthy has verified; the mailed link dies."""
    account = connection.scalar(
        sa.select(memberships.c.account).where(memberships.c.person == person, memberships.c.role == "owner")
    )
    mailed.cancel(connection, now, "verify", person)
    return open_account(connection, now, setup, str(account), person)


def resend(connection: sa.Connection, now: datetime.datetime, setup: Setup, email: str) -> None:
    """Mail the verification again where there is one to be made; nobody is told whether. Raises Invalid."""
    row = connection.execute(
        sa.select(people.c.id, memberships.c.account)
        .join(memberships, memberships.c.person == people.c.id)
        .where(people.c.email_key == addresses.sign_in_key(email), people.c.verified_at.is_(None))
    ).first()
    if row is not None:
        mailed.send_token(connection, now, setup, "verify", row.id, row.account)


def _tell(
    connection: sa.Connection, now: datetime.datetime, setup: Setup, form: Form, template: str, outcome: Outcome
) -> Outcome:
    mail = Mail(to=form.email, template=template, language=form.language, values={"link": f"{setup.base_url}/support"})
    send.put(connection, now, mail, f"{template}:{setup.draw(20)}", None, awaited=True)
    return outcome


def _declare(connection: sa.Connection, now: datetime.datetime, form: Form, account: str | None, person: str) -> None:
    for kind, version in DECLARATIONS.items():
        connection.execute(
            declarations.insert().values(
                account=account, person=person, kind=kind, version=version, language=form.language, at=now
            )
        )
    acceptance.record(
        connection,
        now,
        person=person,
        texts=TEXTS,
        means=cast(Means, form.means),
        shown=form.accepted,
        language=form.language,
        address_hash=form.address_hash,
        account=account,
    )


def _account_values(form: Form) -> dict[str, Any]:
    names = ("plan", "through", "business_name", "tax_number", "address", "time_zone")
    return {name: getattr(form, name) for name in names}


def _person_values(form: Form) -> dict[str, Any]:
    names = ("email", "first_name", "last_name", "phone", "language", "commercial_mail")
    return {name: getattr(form, name) for name in names}
