"""What is paid and given back, with the vectors of the rules and a naive model in exact fractions as the judge."""

from __future__ import annotations

import datetime
import math
from dataclasses import FrozenInstanceError, replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.billing.catalogue import CATALOGUE, Price
from control_plane.billing.charges import (
    Credit,
    Discount,
    Draft,
    Line,
    Returned,
    Used,
    draft,
    first_add_on,
    full_period,
    give_back,
    returned,
    unused,
    upgrade,
    use_credit,
)
from control_plane.billing.tax import NO_TAX, Treatment
from control_plane.errors import Conflict, Invalid
from control_plane.money import MixedCurrencies, Money
from control_plane.periods import Period
from tests.control_plane.entries import entry

START = datetime.date(2026, 11, 7)
MONTH, YEAR = Period.month(START), Period.year(START)
DAY = datetime.timedelta(days=1)
AT = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
POLISH = Treatment("taxed", "PL", Fraction(23, 100))
GERMAN = Treatment("taxed", "DE", Fraction(19, 100))


def euro(minor: int) -> Money:
    return Money(minor, "EUR")


def price(minor: int, cycle: str = "month", item: str = "storage") -> Price:
    return Price(f"{item}.{cycle}.EUR.{minor}", item, cycle, euro(minor), AT)  # type: ignore[arg-type]


def with_left(period: Period, days: int) -> datetime.date:
    """The day on which so many days are left, itself among them."""
    return period.end - days * DAY


def naive(value: Fraction) -> int:
    """Half up, away from zero."""
    sign = -1 if value < 0 else 1
    return sign * math.floor(abs(value) + Fraction(1, 2))


# The first charge of an add-on


@pytest.mark.parametrize(
    ("minor", "period", "days_left", "charged"),
    [
        (1_000, MONTH, [30, 29, 16, 15, 10, 2, 1], [1_000, 967, 533, 500, 333, 67, 33]),
        (999, MONTH, [30, 29, 16, 15, 10, 2, 1], [999, 966, 533, 500, 333, 67, 33]),
        (1, MONTH, [15, 10], [1, 0]),
        (10_000, YEAR, [360, 359, 180, 91, 90, 1], [10_000, 9_972, 5_000, 2_528, 2_500, 28]),
    ],
)
def test_the_first_charge_is_for_the_days_left(
    minor: int, period: Period, days_left: list[int], charged: list[int]
) -> None:
    row = price(minor, "year" if period.days == 360 else "month")
    with entry("BIL-12.1"):
        lines = [first_add_on(row, period, with_left(period, left), NO_TAX) for left in days_left]
        assert [line.net.minor for line in lines] == charged
        assert [line.span.days for line in lines if line.span] == days_left
        assert {line.kind for line in lines} == {"add_on"}
        assert all(line.span is not None and line.span.end == period.end for line in lines)


def test_at_the_instant_of_renewal_the_new_period_counts() -> None:
    row = price(1_000)
    with pytest.raises(ValueError, match="is not in"):
        first_add_on(row, MONTH, MONTH.end, NO_TAX)
    assert first_add_on(row, MONTH.next(), MONTH.end, NO_TAX).net == euro(1_000)


def test_a_line_of_nothing_stands_at_zero_and_is_not_charged() -> None:
    with entry("BIL-12.2"):
        made = draft([first_add_on(price(1), MONTH, with_left(MONTH, 10), POLISH)])
        assert (made.net, made.tax, made.gross, made.payable) == (euro(0),) * 4
        assert len(made.lines) == 1
    assert draft([first_add_on(price(1), MONTH, with_left(MONTH, 15), POLISH)]).net == euro(1)


def test_the_same_add_on_twice_in_a_day_is_two_lines_of_the_same_price() -> None:
    day = with_left(MONTH, 16)
    with entry("BIL-12.3"):
        one = first_add_on(price(1_000), MONTH, day, NO_TAX)
        assert draft([one, first_add_on(price(1_000), MONTH, day, NO_TAX)]).net == euro(2 * 533)
        # Both in one order are one line, rounded once: 1066.67.
        assert first_add_on(price(1_000), MONTH, day, NO_TAX, quantity=2).net == euro(1_067)


def test_then_in_full_on_the_invoice_of_the_plan() -> None:
    following = MONTH.next()
    with entry("BIL-13.1"):
        made = draft(
            [
                full_period("plan", price(4_900, item="professional"), following, POLISH),
                full_period("add_on", price(1_000), following, POLISH, quantity=3),
            ]
        )
        assert [line.net.minor for line in made.lines] == [4_900, 3_000]
        assert (made.net, made.tax, made.gross) == (euro(7_900), euro(1_817), euro(9_717))


def test_what_is_paid_once_is_paid_in_full_whatever_the_day() -> None:
    with entry("BIL-11.1"):
        line = first_add_on(price(900, "once", "streamed_event"), MONTH, MONTH.last, NO_TAX, quantity=2)
        assert (line.kind, line.net, line.span) == ("add_on", euro(1_800), None)
    with pytest.raises(ValueError):
        first_add_on(price(900, "once", "streamed_event"), MONTH, MONTH.end, NO_TAX)
    with entry("BIL-43.2"):
        paid = draft([first_add_on(price(1_000), MONTH, with_left(MONTH, 15), NO_TAX), line])
        # 14 of its own 15 days are not used; of the one streamed event nothing is.
        note = unused(paid, with_left(MONTH, 15))
        assert note is not None and [(one.of, one.net.minor) for one in note.lines] == [(0, -467)]


def test_a_price_of_another_cycle_and_a_quantity_of_nothing_are_faults_of_ours() -> None:
    for wrong in (price(10_000, "year"), price(900, "once", "streamed_event")):
        with pytest.raises(ValueError, match="no price for 30 days"):
            full_period("add_on", wrong, MONTH, NO_TAX)
    with pytest.raises(ValueError, match="no price for 360 days"):
        first_add_on(price(1_000), YEAR, START, NO_TAX)
    for quantity in (0, -1, True, 1.0):
        with pytest.raises(ValueError, match="one piece"):
            full_period("add_on", price(1), MONTH, NO_TAX, quantity=quantity)  # type: ignore[arg-type]


def test_each_line_keeps_the_row_of_the_price_list_that_it_was_charged_by() -> None:
    row = CATALOGUE.for_newcomer("basic", "month", "EUR", AT)
    dearer = replace(row, id="basic.month.EUR.2", amount=euro(2_500), published_at=AT + 300 * DAY)
    later = CATALOGUE.published([dearer])
    with entry("BIL-45.2"):
        old, new = (
            full_period("plan", later.for_newcomer("basic", "month", "EUR", AT + days * DAY), MONTH, NO_TAX)
            for days in (0, 300)
        )
        assert [(line.price, line.net.minor) for line in (old, new)] == [(row.id, 1_900), (dearer.id, 2_500)]
        assert all(later.price(line.price).amount == line.unit for line in (old, new))


# Upgrades and discounts


def test_an_upgrade_costs_the_difference_for_the_days_left() -> None:
    basic, professional = price(1_900, item="basic"), price(4_900, item="professional")
    line = upgrade(basic, professional, MONTH, with_left(MONTH, 16), NO_TAX)
    assert line.net == euro(1_600)
    assert (line.kind, line.price, line.was) == ("upgrade", professional.id, basic.id)
    assert upgrade(basic, professional, MONTH, MONTH.first, NO_TAX).net == euro(3_000)
    assert upgrade(basic, professional, MONTH, MONTH.last, NO_TAX).net == euro(100)
    for wanted in (basic, price(1_900, item="other"), price(100, item="other"), price(49_000, "year", "professional")):
        with pytest.raises(Conflict) as refused:
            upgrade(basic, wanted, MONTH, START, NO_TAX)
        assert refused.value.code == "no_upgrade"


def test_a_discount_ends_may_be_the_whole_and_goes_with_the_days() -> None:
    fifth = Discount(Fraction(1, 5), until=MONTH.end)
    row = price(999, item="basic")
    with entry("BIL-46.1"):
        assert full_period("plan", row, MONTH, NO_TAX, discount=fifth).net == euro(799)
        assert full_period("plan", row, MONTH.next(), NO_TAX, discount=fifth).net == euro(999)
    with entry("BIL-46.2"):
        made = draft([full_period("plan", row, MONTH, POLISH, discount=Discount(Fraction(1)))])
        assert (made.gross, made.payable, made.lines[0].full) == (euro(0), euro(0), euro(999))
    with entry("BIL-46.3"):
        # 999 x 16/30 x 4/5 = 426.24, rounded once.
        line = first_add_on(price(999), MONTH, with_left(MONTH, 16), NO_TAX, discount=fifth)
        assert (line.full, line.net, line.discount) == (euro(533), euro(426), Fraction(1, 5))


@pytest.mark.parametrize("part", [Fraction(0), Fraction(-1, 5), Fraction(6, 5)])
def test_a_discount_is_a_part(part: Fraction) -> None:
    with pytest.raises(ValueError):
        Discount(part)


def test_a_discount_is_no_float() -> None:
    with pytest.raises(TypeError):
        Discount(0.2)  # type: ignore[arg-type]


# Tax


def test_tax_is_rounded_once_for_each_rate_on_the_sum() -> None:
    lines = [full_period("add_on", price(2), MONTH, treatment) for treatment in (POLISH, POLISH, POLISH, GERMAN)]
    with entry("BIL-14.4"):
        made = draft([*lines, full_period("add_on", price(50), MONTH, NO_TAX)])
        # Three times 0.46 is 1.38, so 1; each by itself would be 0. 0.38 of the German is 0.
        assert [(tax.treatment, tax.net.minor, tax.amount.minor) for tax in made.taxes] == [
            (POLISH, 6, 1),
            (GERMAN, 2, 0),
            (NO_TAX, 50, 0),
        ]
        assert made.gross == euro(59)


def test_what_was_made_out_is_never_changed() -> None:
    made = draft([full_period("plan", price(1_000, item="basic"), MONTH, POLISH)], [Credit("a", AT, euro(5))])
    given = returned(give_back(made, {0: euro(1)}), made)
    frozen: list[tuple[Any, str]] = [(made, "lines"), (made.lines[0], "net"), (made.taxes[0], "amount")]
    frozen += [(made.used[0], "amount"), (Credit("a", AT, euro(5)), "left"), (given, "card")]
    frozen += [(Discount(Fraction(1, 2)), "part"), (POLISH, "rate"), (price(1), "amount")]
    for one, name in frozen:
        with pytest.raises(FrozenInstanceError):
            setattr(one, name, None)


def test_a_draft_whose_totals_are_not_its_lines_cannot_be_made() -> None:
    made = draft([full_period("plan", price(100, item="basic"), MONTH, POLISH)])
    with pytest.raises(ValueError, match="sum of the lines"):
        Draft(made.lines * 2, made.taxes)
    with pytest.raises(ValueError, match="nothing to pay"):
        draft([])
    with pytest.raises(ValueError, match="more credit"):
        Draft(made.lines, made.taxes, (Used("c", euro(124), False),))
    yen = Price("basic.month.JPY.1", "basic", "month", Money(100, "JPY"), AT)
    with pytest.raises(MixedCurrencies):
        draft([*made.lines, full_period("plan", yen, MONTH, POLISH)])


# Credit


def credit(minor: int, day: int, currency: str = "EUR", promotional: bool = False) -> Credit:
    return Credit(f"c{day}", AT + day * DAY, Money(minor, currency), promotional)


def test_credit_goes_before_the_card_and_the_oldest_first() -> None:
    lines = [full_period("plan", price(1_000, item="basic"), MONTH, POLISH)]
    with entry("BIL-07.1"):
        for amount, used, rest in ((500, 500, 730), (1_230, 1_230, 0), (2_000, 1_230, 0)):
            made = draft(lines, [credit(amount, 0)])
            assert (made.from_credit.minor, made.payable.minor) == (used, rest)
            assert made.gross == euro(1_230), "the invoice is of the whole sum"
        several = draft(lines, [credit(1_000, 2), credit(400, 1, promotional=True), credit(0, 0)])
        assert several.used == (Used("c1", euro(400), True), Used("c2", euro(830), False))
    with entry("BIL-07.2"):
        assert draft(lines, [credit(5_000, 0, "USD"), credit(100, 1)]).payable == euro(1_130)
    with entry("BIL-07.3"):
        add_on = first_add_on(price(1_000), MONTH, with_left(MONTH, 15), POLISH)
        assert draft([add_on], [credit(600, 0)]).payable == euro(15)


def test_of_two_credits_of_one_moment_the_first_by_its_id_goes_first_and_each_to_its_last_cent() -> None:
    second, first = Credit("b", AT, euro(5)), Credit("a", AT, euro(1))
    assert use_credit(euro(2), [second, first]) == (Used("a", euro(1), False), Used("b", euro(1), False))


@given(st.integers(0, 10_000), st.lists(st.tuples(st.integers(0, 3_000), st.integers(0, 9), st.booleans()), max_size=6))
def test_credit_pays_as_much_as_there_is_and_never_more(due: int, rows: list[tuple[int, int, bool]]) -> None:
    credits = [Credit(str(n), AT + day * DAY, euro(left), promo) for n, (left, day, promo) in enumerate(rows)]
    used = use_credit(euro(due), credits)
    left = {one.id: one.left for one in credits}
    assert sum(one.amount.minor for one in used) == min(due, sum(one.left.minor for one in credits))
    assert all(euro(0) < one.amount <= left[one.credit] for one in used)
    order = [credits[int(one.credit)].since for one in used]
    assert order == sorted(order)
    assert all(one.amount == left[one.credit] for one in used[:-1]), "the older one is emptied first"


# Giving back


def test_the_vector_of_a_termination_without_cause() -> None:
    paid = draft([full_period("plan", price(10_000, "year", "business"), YEAR, NO_TAX)])
    note = unused(paid, YEAR.first + 99 * DAY)
    assert note is not None and -note.gross == euro(7_222)


def test_a_credit_note_has_its_lines_in_the_order_of_the_invoice_down_to_a_cent() -> None:
    plan = full_period("plan", price(3_000, item="basic"), MONTH, NO_TAX)
    paid = draft([plan, first_add_on(price(30), MONTH, with_left(MONTH, 30), NO_TAX)])
    note = give_back(paid, {1: euro(1), 0: euro(2)})
    assert [(line.of, line.net.minor) for line in note.lines] == [(0, -2), (1, -1)]
    # One of its 30 days is not used, and of the add-on that is one cent.
    last = unused(paid, with_left(MONTH, 2))
    assert last is not None and [line.net.minor for line in last.lines] == [-100, -1]


def test_the_first_and_the_last_day_of_a_period() -> None:
    paid = draft([full_period("plan", price(3_000, item="basic"), MONTH, NO_TAX)])
    first, last = unused(paid, MONTH.first), unused(paid, MONTH.last)
    assert first is not None and first.gross == euro(-2_900), "a begun day is used"
    assert last is None and unused(paid, MONTH.end) is None
    # Paid in advance and ended before it begins: the whole of it.
    early = unused(paid, MONTH.first - DAY)
    assert early is not None and early.gross == euro(-3_000)


def test_a_refund_takes_its_tax_and_its_discount_along() -> None:
    paid = draft([full_period("plan", price(1_000, item="basic"), MONTH, POLISH)])
    with entry("BIL-43.3"):
        # The ledger's example: 333 net of 1000 take 77 of the tax along.
        note = give_back(paid, {0: euro(333)})
        assert (note.net.minor, note.tax.minor, note.gross.minor) == (-333, -77, -410)
        rest = give_back(paid, {0: euro(667)}, [note])
        assert note.gross + rest.gross == -paid.gross
    with entry("BIL-43.7"):
        half = draft(
            [full_period("plan", price(1_000, item="basic"), MONTH, POLISH, discount=Discount(Fraction(1, 2)))]
        )
        note = unused(half, with_left(MONTH, 16)) or half
        assert (note.net.minor, note.lines[0].net, note.lines[0].full) == (-250, euro(-250), euro(-250))
        free = draft([full_period("plan", price(1_000, item="basic"), MONTH, POLISH, discount=Discount(Fraction(1)))])
        assert unused(free, MONTH.first) is None


def test_a_refund_goes_to_the_card_then_to_overpayment_and_promotional_credit_lapses() -> None:
    line = full_period("plan", price(1_000, item="basic"), MONTH, POLISH)
    two = draft([line], [credit(300, 0), credit(200, 1, promotional=True)])
    assert two.payable == euro(730)
    with entry("BIL-43.5"):
        small, whole = give_back(two, {0: euro(333)}), give_back(two, {0: euro(1_000)})
        assert returned(small, two) == Returned(euro(410), euro(0), euro(0))
        assert returned(whole, two) == Returned(euro(730), euro(300), euro(200))
        rest = give_back(two, {0: euro(667)}, [small])
        assert returned(rest, two, [small]) == Returned(euro(320), euro(300), euro(200))
    with entry("BIL-43.4"):
        by_credit = draft([line], [credit(2_000, 0)])
        note = unused(by_credit, with_left(MONTH, 16)) or by_credit
        assert returned(note, by_credit) == Returned(euro(0), euro(615), euro(0))


def test_more_than_was_paid_is_never_given_back() -> None:
    paid = draft([full_period("plan", price(1_000, item="basic"), MONTH, POLISH)])
    note = give_back(paid, {0: euro(900)})
    with pytest.raises(Conflict) as too_much:
        give_back(paid, {0: euro(101)}, [note])
    assert too_much.value.code == "refund_max"
    assert (unused(paid, MONTH.first, [note]) or paid).net == euro(-100), "goodwill counts towards it"
    assert unused(paid, MONTH.first, [note, give_back(paid, {0: euro(100)}, [note])]) is None
    wrong: list[dict[int, Money]] = [{}, {0: euro(0)}, {0: euro(-1)}, {1: euro(1)}, {-1: euro(1)}]
    for amounts in wrong:
        with pytest.raises(Invalid) as refused:
            give_back(paid, amounts)
        assert (refused.value.code, refused.value.field) == ("refund_malformed", "amount")


# Against the naive model

treatments = st.sampled_from([NO_TAX, POLISH, GERMAN, Treatment("taxed", "FI", Fraction("25.5") / 100)])
discounts = st.none() | st.fractions(Fraction(1, 100), 1, max_denominator=100).map(Discount)
quantities = st.integers(1, 50)


@st.composite
def line_and_exact(draw: st.DrawFn) -> tuple[Line, Fraction]:
    """A line, and what it costs without any rounding."""
    period = draw(st.sampled_from([MONTH, YEAR]))
    cycle = "month" if period is MONTH else "year"
    tax, discount, quantity = draw(treatments), draw(discounts), draw(quantities)
    minor = draw(st.integers(0, 200_000))
    keep = 1 - (discount.part if discount else 0)
    left = draw(st.integers(1, period.days))
    kind = draw(st.sampled_from(["full", "first", "upgrade"]))
    if kind == "full":
        return full_period("plan", price(minor, cycle), period, tax, quantity=quantity, discount=discount), (
            Fraction(minor * quantity) * keep
        )
    day = with_left(period, left)
    exact = Fraction(minor * left, period.days) * keep
    if kind == "first":
        line = first_add_on(price(minor, cycle), period, day, tax, quantity=quantity, discount=discount)
        return line, exact * quantity
    more = draw(st.integers(1, 1_000))
    line = upgrade(price(minor, cycle), price(minor + more, cycle), period, day, tax, discount=discount)
    return line, Fraction(more * left, period.days) * keep


made_lines = st.lists(line_and_exact(), min_size=1, max_size=5)


@given(made_lines, st.lists(st.integers(0, 100_000), max_size=3))
def test_every_line_is_rounded_once_and_the_totals_are_those_of_the_lines(
    made: list[tuple[Line, Fraction]], credits: list[int]
) -> None:
    paid = draft([line for line, _ in made], [credit(minor, day) for day, minor in enumerate(credits)])
    assert [line.net.minor for line in paid.lines] == [naive(exact) for _, exact in made]
    by_rate: dict[Treatment, int] = {}
    for line in paid.lines:
        by_rate[line.tax] = by_rate.get(line.tax, 0) + line.net.minor
    assert {tax.treatment: (tax.net.minor, tax.amount.minor) for tax in paid.taxes} == {
        treatment: (net, naive(net * treatment.rate)) for treatment, net in by_rate.items()
    }
    assert paid.net + paid.tax == paid.gross == paid.from_credit + paid.payable
    assert euro(0) <= paid.payable <= paid.gross
    assert all(euro(0) <= line.net <= line.full for line in paid.lines)


@given(made_lines, st.lists(st.integers(0, 400), max_size=4), st.integers(0, 100_000), st.integers(0, 100_000))
def test_whatever_is_given_back_in_whatever_steps_the_whole_is_what_was_paid(
    made: list[tuple[Line, Fraction]], ends: list[int], overpaid: int, gift: int
) -> None:
    paid = draft([line for line, _ in made], [credit(overpaid, 0), credit(gift, 1, promotional=True)])
    notes: list[Draft] = []
    for after in sorted(ends):  # several ends of one agreement: more than life has, and no step may give too much
        note = unused(paid, START + after * DAY, notes)
        if note is not None:
            if not notes:
                for line in note.lines:
                    assert line.of is not None and line.span is not None
                    whole = paid.lines[line.of].net.minor
                    part = Fraction(line.span.unused(START + after * DAY), line.span.days)
                    assert -line.net.minor == naive(whole * part)
            notes.append(note)
    rest = [line.net for line in paid.lines]
    for note in notes:
        for line in note.lines:
            assert line.of is not None
            rest[line.of] += line.net
    last = {number: amount for number, amount in enumerate(rest) if amount.minor}
    if last:
        notes.append(give_back(paid, last, notes))
    assert sum((note.gross.minor for note in notes), paid.gross.minor) == 0
    assert sum((note.tax.minor for note in notes), paid.tax.minor) == 0
    backs = [returned(note, paid, notes[:number]) for number, note in enumerate(notes)]
    money = sum(used.amount.minor for used in paid.used if not used.promotional)
    assert sum(back.card.minor for back in backs) == paid.payable.minor
    assert sum(back.credit.minor for back in backs) == money
    assert sum(back.lapsed.minor for back in backs) == paid.from_credit.minor - money
    for back, note in zip(backs, notes, strict=True):
        assert back.card + back.credit + back.lapsed == -note.gross
        assert min(back.card.minor, back.credit.minor, back.lapsed.minor) >= 0
