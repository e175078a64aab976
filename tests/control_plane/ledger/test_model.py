"""The ledger beside a model of a few dictionaries, driven at random: posting, repeating, and going past the code.

After every step the balances are those of the model and of a replay, each currency adds up to zero, nothing that was
posted has changed, and nobody's credit is below zero.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from control_plane.errors import Conflict
from control_plane.ledger import journal
from control_plane.ledger.chart import Account, Line, credit, debit
from control_plane.money import Money
from control_plane.storage.store import Store
from tests.control_plane.ledger.postings import TABLES, balances, journal_of, post, raw

STEPS = 25
CURRENCIES = ("EUR", "JPY")
NEVER_BELOW = ("customer_credit", "deferred:subscription")

amounts = st.builds(Money, st.integers(1, 1000), st.sampled_from(CURRENCIES))
people = st.sampled_from(("a", "b"))
places = st.integers(0, 10_000)
signed = st.integers(-1000, 1000).filter(bool)
# One database for all runs, whose journal cannot be emptied: each run has people and keys of its own.
runs = itertools.count()


class LedgerMachine(RuleBasedStateMachine):
    """Somebody who posts, repeats himself, and knows SQL."""

    store: Store

    def __init__(self) -> None:
        super().__init__()
        self.run = next(runs)
        self.keys = itertools.count()
        self.balances: Counter[Account] = Counter()
        self.posted: dict[str, tuple[Line, ...]] = {}
        self.numbers: dict[str, int] = {}

    @initialize()
    def begin(self) -> None:
        self.balances.update(balances(self.store))
        self.before = dict(self.balances)
        self.earlier = journal_of(self.store)
        self.last = self.earlier[-1].id if self.earlier else 0

    def owner(self, person: str) -> str:
        return f"acc_{self.run}{person}"

    def key(self) -> str:
        return f"run-{self.run}-{next(self.keys)}"

    def refused(self, why: str, *statements: str) -> None:
        """Refused by the database; that nothing has changed is seen by the invariant."""
        with pytest.raises(sa.exc.IntegrityError, match=why):
            raw(self.store, *statements)

    def key_at(self, place: int) -> str:
        """One that was used in this run."""
        return list(self.posted)[place % len(self.posted)]

    def try_to_post(self, lines: Sequence[Line]) -> None:
        """Taken or refused exactly as the model says."""
        after = self.balances.copy()
        for line in lines:
            after[line.account] += line.amount
        touched = {line.account for line in lines}
        key = self.key()
        # These kinds grow by credits, so above zero the lines say that more was taken than there was.
        if any(account.kind in NEVER_BELOW and after[account] > 0 for account in touched):
            with pytest.raises(Conflict) as conflict:
                post(self.store, key, lines)
            assert conflict.value.code == "below_zero"
            return
        self.numbers[key] = post(self.store, key, lines)
        self.balances, self.posted[key] = after, tuple(lines)

    @rule(amount=amounts, person=people)
    def pay_in(self, amount: Money, person: str) -> None:
        self.try_to_post([debit("gateway_clearing", amount), credit("customer_credit", amount, self.owner(person))])

    @rule(amount=amounts, person=people)
    def use_credit(self, amount: Money, person: str) -> None:
        owner = self.owner(person)
        self.try_to_post([debit("customer_credit", amount, owner), credit("deferred:subscription", amount, owner)])

    @rule(amount=amounts, person=people)
    def work_off(self, amount: Money, person: str) -> None:
        self.try_to_post([debit("deferred:subscription", amount, self.owner(person)), credit("revenue:plan", amount)])

    @rule(minors=st.lists(signed, min_size=1, max_size=4), person=people, back=st.booleans())
    def post_anything_balanced(self, minors: list[int], person: str, back: bool) -> None:
        """Any lines in both currencies, and for each currency one that settles them, if they need one."""
        owner, lines = self.owner(person), []
        for currency in CURRENCIES:
            accounts = [
                Account("customer_credit", currency, owner),
                Account("bank", currency),
                Account("fx_clearing", currency),
            ]
            lines += [Line(accounts[number % 3], minor) for number, minor in enumerate(minors)]
            if sum(minors):
                lines.append(Line(accounts[1 if back else 2], -sum(minors)))
        self.try_to_post(lines)

    @rule(lines=st.lists(st.tuples(st.sampled_from(("bank", "revenue:plan")), signed, st.sampled_from(CURRENCIES))))
    def post_something_unbalanced(self, lines: list[tuple[str, int, str]]) -> None:
        sums: Counter[str] = Counter()
        for _, minor, currency in lines:
            sums[currency] += minor
        if lines and not any(sums.values()):
            lines = lines[:-1]
        with pytest.raises(journal.Unbalanced):
            post(self.store, self.key(), [Line(Account(kind, currency), minor) for kind, minor, currency in lines])

    @precondition(lambda self: self.posted)
    @rule(place=places)
    def repeat(self, place: int) -> None:
        key = self.key_at(place)
        assert post(self.store, key, self.posted[key][::-1]) == self.numbers[key]

    @precondition(lambda self: self.posted)
    @rule(place=places)
    def use_a_key_for_something_else(self, place: int) -> None:
        key = self.key_at(place)
        with pytest.raises(Conflict) as conflict:
            post(self.store, key, [*self.posted[key], *self.posted[key]])
        assert conflict.value.code == "key_used"

    @precondition(lambda self: self.posted)
    @rule(table=st.sampled_from(TABLES), deletes=st.booleans())
    def change_what_is_written(self, table: str, deletes: bool) -> None:
        column = {"ledger_kind": "side", "ledger_account": "currency", "journal_line": "amount"}.get(table)
        column = column or {"journal_tx": "effective_at", "journal_seal": "tx_id"}[table]
        if deletes:
            self.refused("append_only", f"DELETE FROM {table}")
        else:
            self.refused("append_only", f"UPDATE {table} SET {column} = {column}")

    @precondition(lambda self: self.posted)
    @rule(place=places, amount=signed)
    def add_to_what_is_sealed(self, place: int, amount: int) -> None:
        number = self.numbers[self.key_at(place)]
        columns, some = "tx_id, number, account_id, amount", "FROM ledger_account"
        line = f"INSERT INTO journal_line ({columns}) SELECT {number}, {{}}, min(id), {{}} {some}"
        self.refused("late_line", line.format(98, amount), line.format(99, -amount))
        self.refused("sealed", f"INSERT INTO journal_seal (tx_id) VALUES ({number})")

    @invariant()
    def balances_are_those_of_the_model_and_of_a_replay(self) -> None:
        told = balances(self.store)
        assert told == {account: self.balances[account] for account in told}
        assert {account for account, sum_ in self.balances.items() if sum_} <= set(told)
        written = self.store.read(lambda connection: list(journal.transactions(connection, self.last)))
        assert {one.idem_key: one.lines for one in written} == self.posted
        replayed = Counter(self.before)
        for account, sum_ in journal.replay(written).items():
            replayed[account] += sum_
        assert told == replayed
        sums: Counter[str] = Counter()
        for account, sum_ in told.items():
            sums[account.currency] += sum_
            assert account.kind not in NEVER_BELOW or account.held(sum_).minor >= 0
        assert not any(sums.values())

    def teardown(self) -> None:
        """What was there before this run is there still, word for word, and all of it makes the balances."""
        written = journal_of(self.store)
        assert written[: len(self.earlier)] == self.earlier
        assert journal.replay(written) == balances(self.store)


def test_the_ledger_behaves_like_its_model(store: Store) -> None:
    machine = type("Machine", (LedgerMachine,), {"store": store})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=settings().max_examples // 5,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
