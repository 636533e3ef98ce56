"""Sharing a pool: each department's part is pool x weight / sum of weights, exactly.

Parts are fractions, so that they add up to the pool whatever the weights; they are rounded with everything else on the
statements (`billing.rounding`). A pool whose departments have no weight at all is not shared: it stays with the
unattributed account, and says why. The unattributed account itself never has a weight: nobody is there to pay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from billing.charges import Charge
from billing.money import exact_text

if TYPE_CHECKING:
    from billing.allocation.rules import Rule
    from billing.charges import Department
    from billing.invoices.vendors import Vendor
    from billing.tax import VendorUse

UNATTRIBUTED_POOL = "unattributed"
BY_COST = "cost"


@dataclass(frozen=True, slots=True)
class SharedPool:
    """An amount to be shared, in the statement's currency. `exact` is None where it is not known, and `why` says so.

    `name` is what rules call it; `document` says how it came about. `rule` is None for a pool that no rule names.
    """

    name: str
    rule: Rule | None
    exact: Fraction | None
    document: Mapping[str, Any] = field(default_factory=dict)
    why: str | None = None

    @property
    def basis_name(self) -> str:
        """The measure; what no rule names is shared by cost."""
        return BY_COST if self.rule is None else self.rule.basis_name


@dataclass(frozen=True, slots=True)
class Measures:
    """What departments can be measured by. `users` and `headcount` are people, by department."""

    use: Mapping[Department, Mapping[Vendor | None, VendorUse]]
    users: Mapping[str, int]
    headcount: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Allocation:
    """One pool with the weights and the exact parts of departments; `why` says why it is not shared, if it is not."""

    pool: SharedPool
    weights: Mapping[str, Fraction]
    parts: Mapping[str, Fraction]
    why: str | None

    @property
    def weight_total(self) -> Fraction:
        return sum(self.weights.values(), Fraction(0))


def weights_of(rule: Rule | None, measures: Measures) -> dict[str, Fraction]:
    """Each department's weight under a rule, by code; only weights above 0. Without a rule: by cost, all of them."""
    if rule is not None and rule.basis == "shares":
        found = {department: Fraction(weight) for department, weight in rule.shares}
    elif rule is not None and rule.basis in ("users", "headcount"):
        people = measures.users if rule.basis == "users" else measures.headcount
        found = {department: Fraction(count) for department, count in people.items()}
    else:
        vendor = None if rule is None else rule.basis_of
        is_tokens = rule is not None and rule.basis == "tokens"
        found = {}
        for department, by_vendor in measures.use.items():
            if department is not None:
                used = [one for row, one in by_vendor.items() if vendor is None or (row and row.vendor == vendor)]
                found[department] = sum((Fraction(one.tokens) if is_tokens else one.cost for one in used), Fraction(0))
    chosen = None if rule is None or not rule.departments else set(rule.departments)
    return {
        department: weight
        for department, weight in sorted(found.items())
        if weight > 0 and (chosen is None or department in chosen)
    }


def share(pool: SharedPool, weights: Mapping[str, Fraction]) -> Allocation:
    """Cut a pool by weights, which are above 0. The parts add up to the pool exactly."""
    total = sum(weights.values(), Fraction(0))
    if pool.exact is None:
        return Allocation(pool, weights, {}, pool.why)
    if not pool.exact:
        return Allocation(pool, weights, {}, pool.why or "there is nothing to share")
    if not total:
        return Allocation(pool, {}, {}, f"no department has a weight by {pool.basis_name}: it stays here")
    return Allocation(
        pool, weights, {code: pool.exact * weight / total for code, weight in weights.items()}, None
    )


def charges_of(allocation: Allocation) -> list[Charge]:
    """The charges of an allocation: a part for each department, and what the unattributed account gives or keeps."""
    pool = allocation.pool
    charges = [
        Charge("allocated", department, _key(pool), part, _document(allocation, allocation.weights[department]))
        for department, part in allocation.parts.items()
    ]
    is_ours = pool.name == UNATTRIBUTED_POOL
    if allocation.parts:
        if is_ours:
            assert pool.exact is not None
            charges.append(Charge("allocated", None, _key(pool), -pool.exact, _document(allocation, None)))
        return charges
    if pool.exact == 0:
        return []
    kept = Fraction(0) if is_ours or pool.exact is None else pool.exact
    return [Charge("allocated", None, _key(pool), kept, _document(allocation, None))]


def _key(pool: SharedPool) -> tuple[str, ...]:
    return (pool.name if pool.rule is None else pool.rule.rule, pool.name)


def _document(allocation: Allocation, weight: Fraction | None) -> dict[str, Any]:
    return {**pool_document(allocation), "weight": None if weight is None else exact_text(weight)}


def pool_document(allocation: Allocation) -> dict[str, Any]:
    """What is shared, by which rule and measure, and why not if it is not."""
    pool = allocation.pool
    return {
        "rule": None if pool.rule is None else pool.rule.rule,
        "rule_id": None if pool.rule is None else pool.rule.code,
        "pool": pool.name,
        "basis": pool.basis_name,
        "pool_amount": None if pool.exact is None else exact_text(pool.exact),
        "weight_total": exact_text(allocation.weight_total),
        "why": allocation.why,
        "pool_document": dict(pool.document),
    }
