"""Discounts, volume tiers and commitments: sums to the whole, monotone, both sides of every boundary."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from billing.prices import STORED_IDS_MAX, Asked, PriceBook, PriceKey, PriceRow
from billing.rating import RatedQuantity, UsageSum, cost_of, rate, rate_month
from billing.terms.book import TERMS_MAX, TIERS_MAX, TermBook
from billing.terms.obligations import draw_down, shortfall
from billing.terms.term import ContractTerm, Kind, Tier, terms_in_force
from billing.terms.tiers import cut, tier_quantities

KEY = PriceKey("p", "m", "input_tokens", "standard", None, 0)
percents = st.decimals(min_value="0.0001", max_value=100, places=4)
prices = st.decimals(min_value=0, max_value=10**6, places=6)
quantities = st.integers(0, 10**15)
thresholds = st.lists(st.integers(0, 10**12), max_size=5, unique=True).map(sorted)
money = st.fractions(min_value=0, max_value=10**9)


def row(price: Decimal, per: int = 1000, number: int = 1) -> PriceRow:
    return PriceRow(number, "list", KEY, "USD", price, per, 0, None, "t")


def term(kind: Kind, number: int = 1, **more: object) -> ContractTerm:
    values = {
        "id": number, "name": f"t{number}", "kind": kind, "provider": "p", "model": "*", "unit": "input_tokens",
        "origin": None, "currency": None, "percent": None, "amount": None, "tiers": (), "from_hour": 0,
        "to_hour": None, "source": "t", **more,
    }  # fmt: skip
    return ContractTerm(**values)  # type: ignore[arg-type]


def used(department: str, quantity: int, hour: int = 5, model: str = "m") -> UsageSum:
    return UsageSum((department,), hour, "p", model, "standard", None, 0, False, (("input_tokens", quantity),))


def cost(rated: list[RatedQuantity]) -> Fraction:
    return sum((Fraction(cost_of(one.quantity, one.price)) for one in rated if one.price is not None), Fraction(0))


@given(price=prices, percent=percents, more=percents, quantity=quantities)
def test_a_discount_is_exact_and_monotone(price: Decimal, percent: Decimal, more: Decimal, quantity: int) -> None:
    asked = Asked("p", "m", "standard", None, 0)
    found = {}
    for off in (percent, more):
        book = PriceBook([row(price)], None, TermBook([term("discount", percent=off)]))
        reduced = book.find(asked, "input_tokens", 7)
        assert reduced is not None
        found[off] = Fraction(cost_of(quantity, reduced))
        assert found[off] == Fraction(price) * quantity / 1000 * (1 - Fraction(off) / 100)
        assert (reduced.code, reduced.row_id, reduced.terms[0].before) == ("P-000001", 1, row(price).unit_price)
    assert (found[percent] <= found[more]) or percent < more


@given(price=prices, percent=percents, first=st.integers(1, 50), hours=st.integers(1, 50))
def test_a_discount_holds_from_its_first_hour_to_before_its_last(
    price: Decimal, percent: Decimal, first: int, hours: int
) -> None:
    contract = TermBook([term("discount", percent=percent, from_hour=first, to_hour=first + hours)])
    book = PriceBook([row(price)], None, contract)
    asked = Asked("p", "m", "standard", None, 0)
    holding = [hour for hour in range(110) if (found := book.find(asked, "input_tokens", hour)) and found.terms]
    assert holding == list(range(first, first + hours))
    assert book.cuts(0, 110) == {first, first + hours}


@given(quantity=quantities, edges=thresholds)
def test_tiers_hold_the_whole_quantity(quantity: int, edges: list[int]) -> None:
    for is_graduated in (True, False):
        tiers = tier_quantities(quantity, edges, is_graduated=is_graduated)
        assert sum(tiers) == quantity
        assert min(tiers) >= 0
        assert len(tiers) == len(edges) + 1
    graduated = tier_quantities(quantity, edges, is_graduated=True)
    for place, above in enumerate(edges):
        assert sum(graduated[: place + 1]) == min(quantity, above)


@given(edges=thresholds.filter(bool), data=st.data())
def test_a_threshold_is_exceeded_not_reached(edges: list[int], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(edges) - 1))
    at, over = edges[place], edges[place] + 1
    assert tier_quantities(at, edges, is_graduated=True)[place + 1] == 0
    assert tier_quantities(over, edges, is_graduated=True)[place + 1] == 1
    if at:
        assert tier_quantities(at, edges, is_graduated=False)[place] == at
    following = edges[place + 1] if place + 1 < len(edges) else None
    assert following == over or tier_quantities(over, edges, is_graduated=False)[place + 1] == over


@given(parts=st.lists(st.integers(0, 10**9), min_size=1, max_size=12).filter(any), edges=thresholds)
def test_cuts_add_up_both_ways_and_stay_near_their_share(parts: list[int], edges: list[int]) -> None:
    total = sum(parts)
    columns = tier_quantities(total, edges, is_graduated=True)
    cells = cut(parts, columns)
    assert [sum(row_) for row_ in cells] == parts
    assert [sum(column) for column in zip(*cells, strict=True)] == columns
    assert min(min(row_) for row_ in cells) >= 0
    for place, column in enumerate(columns):
        for first in range(len(parts)):
            for end in range(first + 1, len(parts) + 1):
                share = Fraction(sum(parts[first:end]) * column, total)
                got = sum(row_[place] for row_ in cells[first:end])
                assert abs(got - share) < place + 1


tier_lists = st.lists(
    st.tuples(st.integers(0, 10**6), st.integers(0, 100)), min_size=1, max_size=4, unique_by=lambda tier: tier[0]
)


@given(
    use=st.lists(st.tuples(st.sampled_from("ABC"), st.integers(1, 10**6), st.sampled_from(["m", "n"])), max_size=10),
    tiers=tier_lists,
    price=prices,
    kind=st.sampled_from(["graduated_tier", "whole_tier"]),
)
def test_a_month_by_volume_is_the_definition(
    use: list[tuple[str, int, str]], tiers: list[tuple[int, int]], price: Decimal, kind: Kind
) -> None:
    """The organisation's cost by tiers, unit by unit of the month's quantity; nothing lost, nothing twice."""
    contract = TermBook([term(kind, tiers=tuple(Tier(above, Decimal(percent)) for above, percent in tiers))])
    book = PriceBook([row(price)], None, contract)  # model n has no price
    sums = [used(department, quantity, hour, model) for hour, (department, quantity, model) in enumerate(use)]
    rated = list(rate_month(sums, book))
    mine = [quantity for _, quantity, model in use if model == "m"]
    assert sum(one.quantity for one in rated if one.price) == sum(mine)
    assert sum(one.quantity for one in rated) == sum(quantity for _, quantity, _ in use)
    assert cost(rated) == _by_tiers(sum(mine), sorted(tiers), Fraction(price) / 1000, kind)
    assert len({one.price.id for one in rated if one.price}) <= len(tiers) + 1
    by_department = {name: sum(q for d, q, _ in use if d == name) for name in "ABC"}
    assert by_department == {
        name: sum(one.quantity for one in rated if one.usage.dimensions == (name,)) for name in "ABC"
    }
    assert {*rate_month(reversed(sums), book)} == {*rated}  # the order of the sums decides nothing


def _by_tiers(total: int, tiers: list[tuple[int, int]], price: Fraction, kind: str) -> Fraction:
    if kind == "whole_tier":
        percent = max(((above, percent) for above, percent in tiers if total > above), default=(0, 0))[1]
        return total * price * (100 - percent) / 100
    amount = min(total, tiers[0][0]) * price
    for (above, percent), following in zip(tiers, [*(above for above, _ in tiers[1:]), total], strict=True):
        amount += max(0, min(total, following) - above) * price * (100 - percent) / 100
    return amount


@given(quantity=st.integers(0, 10**6), tiers=tier_lists, price=prices)
def test_graduated_cost_never_falls_with_more_use(quantity: int, tiers: list[tuple[int, int]], price: Decimal) -> None:
    contract = TermBook([term("graduated_tier", tiers=tuple(Tier(above, Decimal(off)) for above, off in tiers))])
    book = PriceBook([row(price)], None, contract)
    less, more = ([used("A", quantity + extra)] if quantity + extra else [] for extra in (0, 1))
    assert cost(list(rate_month(less, book))) <= cost(list(rate_month(more, book)))


@given(sums=st.lists(st.builds(used, st.sampled_from("AB"), st.integers(1, 10**9)), max_size=8))
def test_without_tiers_a_month_is_rated_as_any_sums(sums: list[UsageSum]) -> None:
    book = PriceBook([row(Decimal(1))], None, TermBook([term("discount", percent=Decimal(5))]))
    assert list(rate_month(sums, book)) == list(rate(sums, book))


@given(committed=money, charges=st.lists(money, max_size=8))
def test_a_draw_down_holds_every_amount_once(committed: Fraction, charges: list[Fraction]) -> None:
    months = draw_down(committed, [(str(place), charge) for place, charge in enumerate(charges)])
    opening = committed
    for month, charge in zip(months, charges, strict=True):
        assert month.opening == opening
        assert month.opening == month.drawn + month.remaining
        assert month.charges == charge == month.drawn + month.beyond
        assert 0 <= month.remaining <= month.opening
        assert month.beyond >= 0
        assert not (month.beyond and month.remaining)
        opening = month.remaining
    assert opening == shortfall(committed, sum(charges, Fraction(0)))


@given(committed=money, charges=st.lists(st.fractions(-(10**6), 10**6), max_size=8))
def test_credits_give_back_what_was_drawn(committed: Fraction, charges: list[Fraction]) -> None:
    months = draw_down(committed, [(str(place), charge) for place, charge in enumerate(charges)])
    total = Fraction(0)
    for month, charge in zip(months, charges, strict=True):
        total += charge
        assert month.remaining == committed - max(Fraction(0), min(total, committed))
        assert month.charges == month.drawn + month.beyond


@given(minimum=money, charges=st.fractions(-(10**6), 10**9))
def test_a_shortfall_is_never_negative_and_fills_the_minimum(minimum: Fraction, charges: Fraction) -> None:
    missing = shortfall(minimum, charges)
    assert missing >= 0
    assert missing + charges >= minimum
    assert not missing or missing + charges == minimum


def test_the_boundary_of_a_minimum() -> None:
    cent = Fraction(1, 100)
    assert [shortfall(Fraction(5), Fraction(5) + off) for off in (-cent, Fraction(0), cent)] == [cent, 0, 0]


histories = st.lists(st.tuples(st.integers(0, 60), st.none() | st.integers(1, 30)), min_size=1, max_size=8)


@given(history=histories, asked=st.integers(0, 90))
def test_one_term_of_a_name_holds_at_an_hour(history: list[tuple[int, int | None]], asked: int) -> None:
    terms = [
        term("discount", number + 1, name="x", percent=Decimal(1), from_hour=first,
             to_hour=None if length is None else first + length)
        for number, (first, length) in enumerate(history)
    ]  # fmt: skip
    begun = [one for one in terms if one.from_hour <= asked]
    last = max(begun, key=lambda one: (one.from_hour, one.id), default=None)
    expected = [] if last is None or (last.to_hour is not None and last.to_hour <= asked) else [last.id]
    assert [one.term.id for one in terms_in_force(terms) if one.holds(asked)] == expected


@given(
    number=st.integers(1, STORED_IDS_MAX - 1),
    discount=st.integers(1, TERMS_MAX - 1),
    tier=st.integers(1, TERMS_MAX - 1),
    count=st.integers(1, TIERS_MAX - 1),
)
def test_ids_of_made_prices_are_their_own_and_fit_63_bits(number: int, discount: int, tier: int, count: int) -> None:
    terms = [term("discount", discount, name="d", percent=Decimal(1))]
    if tier != discount:
        tiers = tuple(Tier(place, Decimal(1)) for place in range(count))
        terms.append(term("graduated_tier", tier, name="v", tiers=tiers))
    book = PriceBook([row(Decimal(1), number=number)], None, TermBook(terms))
    made = [one.price for one in rate_month([used("A", 100)], book) if one.price is not None]
    assert len({price.id for price in made}) == len(made)
    for price in made:
        assert price.row_id == number
        assert STORED_IDS_MAX <= price.id < 1 << 63
