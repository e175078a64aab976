"""Any life of accounts, step by step over the store, beside a model of it (model section 3.1)."""

from __future__ import annotations

import contextlib
import datetime
from typing import Any

import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from control_plane.accounts import account as machine
from control_plane.accounts import keys, lifecycle, sign_up
from control_plane.accounts.setup import Setup
from control_plane.accounts.tables import accounts, free_uses, people
from control_plane.api.caller import RIGHTS, Caller
from control_plane.errors import ControlPlaneError
from control_plane.running import audit
from control_plane.storage.columns import metadata
from control_plane.storage.store import Store
from tests.control_plane import seen
from tests.control_plane.conftest import Stores
from tests.control_plane.people import FINGERPRINT_KEY, START, TEXTS, drawn
from tests.examples import examples

REASON: machine.Reason = "abuse"


class Lives(RuleBasedStateMachine):
    """`self.now` only goes forward. The model keeps of each account: status, window, mailbox."""

    stores: Stores
    accounts_ = Bundle("accounts_")

    @initialize()
    def begin(self) -> None:
        self.opened = contextlib.ExitStack()
        self.store = self.opened.enter_context(type(self).stores())
        seen.publish_texts(self.store, START)
        self.now, self.setup, self.steps = START, Setup(FINGERPRINT_KEY, draw=drawn(7)), 0
        self.model: dict[str, dict[str, Any]] = {}
        self.used: set[str] = set()
        self.ended: list[str] = []
        self.keys: dict[str, str] = {}

    def teardown(self) -> None:
        if hasattr(self, "opened"):
            self.opened.close()

    def _step(self, account: str, event: machine.Event, may: bool, status: str) -> bool:
        """Take a step in the product; it must be taken exactly when the model says so."""
        try:
            self.store.write(
                lambda connection: lifecycle.step(connection, self.now, self.setup, account, event, actor="staff:per_x")
            )
            took = True
        except ControlPlaneError:
            took = False
        assert took is may, (event, self.model[account])
        if took:
            self.model[account]["status"] = status
            self.steps += 1
        return took

    @rule(target=accounts_, mailbox=st.sampled_from(["jane", "joe"]), tag=st.sampled_from(["", "+a", "+b"]))
    def signs_up(self, mailbox: str, tag: str) -> Any:
        email = f"{mailbox}{tag}@example.com"
        form = sign_up.Form(email, True, True, TEXTS, business_name="Acme", tax_number="")
        there = {one["email"]: name for name, one in self.model.items() if one["status"] != "deleted"}
        outcome = self.store.write(lambda connection: sign_up.sign_up(connection, self.now, self.setup, form, "hash"))
        if email in there and self.model[there[email]]["status"] != "pending":
            assert outcome == "known"
        elif mailbox in self.used:
            assert outcome == "free_used"
        else:
            assert outcome == "pending"
            if email not in there:
                account = self.store.read(self._newest)
                self.model[account] = {"status": "pending", "email": email, "mailbox": mailbox, "window": None}
                self.steps += 1
                return account
        return multiple()

    def _newest(self, connection: sa.Connection) -> str:
        known = list(self.model)
        return str(connection.scalar(sa.select(accounts.c.id).where(accounts.c.id.not_in(known))))

    @rule(account=accounts_)
    def verifies(self, account: str) -> None:
        one = self.model[account]
        token = seen.mails(self.store, one["email"], "verification")[-1]["values"]["token"]
        may = one["status"] == "pending" and one["mailbox"] not in self.used
        try:
            self.store.write(lambda connection: sign_up.verify(connection, self.now, self.setup, token))
            took = True
        except ControlPlaneError:
            took = False
        if took:
            assert may
            one["status"], self.steps = "open", self.steps + 1
            self.used.add(one["mailbox"])
        else:
            # A link may have expired; then nothing has changed.
            assert not may or self.now >= START + datetime.timedelta(hours=48)

    @rule(account=accounts_)
    def makes_a_key(self, account: str) -> None:
        if self.model[account]["status"] == "open" and account not in self.keys:
            owner = self.store.read(lambda connection: lifecycle.owner(connection, account))
            caller = Caller(f"person:{owner}", account, owner, "owner", frozenset(RIGHTS))
            _, self.keys[account] = self.store.write(
                lambda connection: keys.make(connection, self.now, self.setup, caller, "k", ["events"])
            )

    @rule(account=accounts_)
    def is_suspended(self, account: str) -> None:
        if self._step(account, machine.Suspend(REASON), self.model[account]["status"] == "open", "suspended"):
            self.ended.append(account)

    @rule(account=accounts_)
    def is_lifted(self, account: str) -> None:
        self._step(account, machine.Lift(), self.model[account]["status"] == "suspended", "open")

    @rule(account=accounts_, expired=st.booleans())
    def is_closed(self, account: str, expired: bool) -> None:
        may = self.model[account]["status"] in ("open", "suspended")
        if self._step(account, machine.Close("cancelled", expired=expired), may, "closed"):
            self.model[account]["window"] = self.now + datetime.timedelta(days=90 if expired else 30)
            self.ended.append(account)
            self.keys.pop(account, None)

    @rule(account=accounts_, approved=st.booleans(), paid=st.booleans())
    def comes_back(self, account: str, approved: bool, paid: bool) -> None:
        one = self.model[account]
        may = one["status"] == "closed" and approved and paid and self.now <= one["window"]
        self._step(account, machine.Reactivate(approved, paid), may, "open")

    @rule(account=consumes(accounts_))
    def is_purged(self, account: str) -> None:
        one = self.model[account]
        due = one["status"] == "pending" or (one["status"] == "closed" and self.now > one["window"])
        for _ in range(2):  # a job that is run twice changes nothing
            self.store.write(lambda connection: lifecycle.purge_due(connection, self.now, self.setup, account))
        if due:
            one["status"], self.steps = "deleted", self.steps + 1

    @rule(days=st.sampled_from([1, 30, 90]))
    def time_passes(self, days: int) -> None:
        self.now += datetime.timedelta(days=days)

    @invariant()
    def the_product_is_as_the_model(self) -> None:
        if not hasattr(self, "model"):
            return
        rows = self.store.read(lambda connection: {row.id: row for row in connection.execute(accounts.select())})
        assert {name: row.status for name, row in rows.items()} == {
            name: one["status"] for name, one in self.model.items()
        }
        assert len(self.store.read(lambda connection: list(connection.execute(free_uses.select())))) == len(self.used)
        assert [command["account"] for command in seen.media(self.store)] == self.ended
        codes = {*lifecycle._CODES.values(), "signed_up"}
        assert len([row for row in seen.audit(self.store) if row["code"] in codes]) == self.steps
        # Who waits for a purge: pending and closed accounts, each once.
        waiting = sorted(str(job.account) for job in seen.jobs(self.store, "accounts.purge"))
        assert set(waiting) >= {name for name, one in self.model.items() if one["status"] in ("pending", "closed")}
        assert not set(waiting) & {name for name, one in self.model.items() if one["status"] in ("open", "suspended")}
        for account, secret in self.keys.items():
            holds = self.model[account]["status"] == "open"
            try:
                self.store.read(lambda connection, key=secret: keys.caller(connection, self.now, key))  # type: ignore[misc]
                assert holds
            except ControlPlaneError:
                assert not holds

    @invariant()
    def who_is_deleted_is_in_no_table_of_ours(self) -> None:
        if not hasattr(self, "model"):
            return
        alive = {one["email"] for one in self.model.values() if one["status"] != "deleted"}
        assert {row.email for row in self.store.read(self._people)} == alive

    def _people(self, connection: sa.Connection) -> list[Any]:
        return list(connection.execute(people.select()))


def test_any_life_of_accounts_is_as_the_model_says(stores: Stores) -> None:
    lives = settings(
        max_examples=examples(12), stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(type("Lives", (Lives,), {"stores": staticmethod(stores)}), settings=lives)


def test_a_deleted_customer_is_found_in_no_column_outside_of_what_is_kept(store: Store) -> None:
    """A word planted in every field is gone from every table of this area after the purge."""
    seen.publish_texts(store, START)
    setup = Setup(FINGERPRINT_KEY, draw=drawn(3))
    marked = sign_up.Form(
        "zanzibar@example.com",
        True,
        True,
        TEXTS,
        business_name="Zanzibar",
        first_name="Zanzibar",
        last_name="Zanzibar",
        address="Zanzibar 1",
        phone="Zanzibar 2",
    )
    store.write(lambda connection: sign_up.sign_up(connection, START, setup, marked, "zanzibar-hash"))
    token = seen.mails(store, template="verification")[0]["values"]["token"]
    verified = store.write(lambda connection: sign_up.verify(connection, START, setup, token))
    ours = [table for table in metadata.sorted_tables if table.name in vars_of_tables()]

    def found(connection: sa.Connection) -> set[str]:
        return {
            table.name for table in ours for row in connection.execute(table.select()) if "zanzibar" in str(row).lower()
        }

    assert store.read(found) == {"accounts", "people"}
    end: machine.Event
    for end, at in ((machine.Close("erased"), START), (machine.Purge(), START + datetime.timedelta(days=31))):
        store.write(
            lambda connection, event=end, now=at: lifecycle.step(  # type: ignore[misc]
                connection, now, setup, verified.account, event, actor="staff:per_x"
            )
        )
    assert store.read(found) == set()
    assert list(store.read(lambda connection: list(audit.verify(connection)))) == []
    assert len(store.read(lambda connection: list(connection.execute(free_uses.select())))) == 1


def vars_of_tables() -> set[str]:
    from control_plane.accounts import tables

    return {table.name for table in vars(tables).values() if isinstance(table, sa.Table)}
