"""What charges are called in papers, in Korean and English: their facts, the words of those, and known sentences. Pure.

Names that people gave (rules, vendors, terms, departments) and texts that nothing here knows stay as they are.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from billing.outputs.figures import grouped
from billing.outputs.texts import _PLACE, unit_name, words

if TYPE_CHECKING:
    from billing.outputs.texts import Language

_FACTS: dict[str, tuple[str, str]] = {
    "rule": ("배부 규칙", "Rule"),
    "rule_id": ("규칙 번호", "Rule number"),
    "name": ("이름", "Name"),
    "term_id": ("조건 번호", "Term"),
    "vendor": ("공급사", "Vendor"),
    "creditor": ("채권자", "Creditor"),
    "reason": ("사유", "Reason"),
    "kind": ("종류", "Kind"),
    "category": ("분류", "Category"),
    "origin_period": ("원래 사용월", "Corrects"),
    "origin": ("근거", "Because"),
    "section": ("대상", "About"),
    "method": ("방법", "Method"),
    "basis": ("배부 기준", "Shared by"),
    "mode": ("방식", "Mode"),
    "rate": ("비율", "Rate"),
    "pool": ("공통비", "Shared cost"),
    "pool_amount": ("공통비 전체", "Of all together"),
    "pool_document": ("공통비", "Shared cost"),
    "weight": ("부서 몫", "Weight"),
    "weight_total": ("전체 몫", "Of weights"),
    "why": ("설명", "Why"),
    "provider": ("제공자", "Provider"),
    "model": ("모델", "Model"),
    "unit": ("단위", "Unit"),
    "quantity": ("수량", "Quantity"),
    "price_id": ("가격 행", "Price row"),
    "tax_mode": ("과세 방식", "Tax"),
    "tax_rate": ("세율", "Tax rate"),
    "tax_in_price": ("세금 표시", "Prices are"),
    "base_exact": ("과세 표준", "Tax base"),
    "included_exact": ("포함된 세금", "Tax included"),
    "amount": ("금액", "Amount"),
    "amounts": ("청구 금액", "Invoiced"),
    "currency": ("통화", "Currency"),
    "source": ("출처", "Source"),
    "fx_rows": ("환율", "Rates"),
    "fx_rate": ("환율", "Rate"),
    "fx_date": ("환율 날짜", "Rate of"),
    "fx_source": ("환율 출처", "Rate from"),
    "date": ("날짜", "Date"),
    "base": ("기준 통화", "Of"),
    "charges": ("사용 금액", "Charges"),
    "shortfall": ("부족액", "Shortfall"),
    "due": ("정산 여부", "Due"),
    "remaining": ("약정 잔액", "Remaining"),
    "months": ("개월 수", "Months"),
    "percent": ("할인율(%)", "Percent off"),
    "unit_price_before": ("조건 적용 전 단가", "Unit price before"),
}

_POOLS: dict[str, tuple[str, str]] = {
    "none": ("없음", "none"),
    "fixed": ("정액", "fixed amount"),
    "term": ("계약 부족액", "shortfall of a contract"),
    "invoice_tax": ("청구서 세금", "tax on the invoice"),
    "invoice_fee": ("청구서 수수료", "fees on the invoice"),
    "invoice_credit": ("청구서 할인·크레딧", "credits on the invoice"),
    "invoice_difference": ("청구서 차액", "difference of the invoice"),
    "unattributed": ("귀속 부서 없는 사용", "unattributed use"),
}
_BASES: dict[str, tuple[str, str]] = {
    "tokens": ("토큰", "tokens"),
    "cost": ("사용 금액", "cost"),
    "users": ("사용자 수", "active users"),
    "headcount": ("인원수", "headcount"),
    "shares": ("정해진 비율", "fixed shares"),
}
_VALUES: dict[str, dict[str, tuple[str, str]]] = {
    "pool": _POOLS,
    "basis": _BASES,
    "kind": {
        "minimum_fee": ("최소 요금", "minimum fee"),
        "commitment": ("사용 약정", "commitment"),
        "discount": ("할인", "discount"),
        "graduated_tier": ("누진 구간 가격", "graduated tiers"),
        "whole_tier": ("전체 구간 가격", "whole-volume tiers"),
    },
    "tax_mode": {
        "none": ("과세 없음", "none"),
        "vendor_charged": ("공급사 부과", "charged by the vendor"),
        "reverse_charge": ("대리납부", "reverse charge"),
        "domestic_invoice": ("국내 세금계산서", "domestic tax invoice"),
    },
    "tax_in_price": {"added": ("별도", "without tax"), "included": ("포함", "with tax")},
    "section": {
        "lines": ("사용 내역", "use"),
        "allocated": ("공통비 배부", "shared costs"),
        "adjustments": ("정정", "corrections"),
        "tax": ("세금", "tax"),
    },
    "reason": {
        "LATE_USAGE": ("마감 후 도착한 사용", "use that came late"),
        "REDRIVEN": ("격리에서 다시 처리한 사용", "use sent again from quarantine"),
        "PRICE_CORRECTION": ("가격 정정", "another price"),
        "RATE_CORRECTION": ("환율 정정", "another exchange rate"),
        "COPY_REMOVED": ("중복 사용 제거", "copies taken out"),
        "ATTRIBUTION_CORRECTION": ("귀속 부서 정정", "another department"),
        "ALLOCATION_CORRECTION": ("배부 정정", "shared costs computed again"),
        "TAX_CORRECTION": ("세금 정정", "tax computed again"),
        "CHARGE_CORRECTION": ("부과 정정", "charges computed again"),
    },
}


FIGURES = frozenset({
    "amount", "amounts", "base_exact", "charges", "included_exact", "pool_amount", "quantity", "remaining", "shortfall",
    "unit_price_before", "weight", "weight_total",
})  # fmt: skip
"""Facts that are figures; nothing else gets commas, since a name may be a number."""


class _Sentence(NamedTuple):
    """A sentence that the books keep in English, and what it is in Korean. What a pattern finds stays as it is, but for
    the groups `unit` (a unit), `rates` and `lost_rates` (rates with their days) and `rest` (a sentence again)."""

    pattern: re.Pattern[str]
    korean: str


def _sentence(pattern: str, korean: str) -> _Sentence:
    return _Sentence(re.compile(pattern, re.DOTALL), korean)


_SENTENCES: tuple[_Sentence, ...] = (
    _sentence(r"(?P<rest>.+) \(from quarantine\)", "{rest} (격리에서 다시 처리)"),
    _sentence(
        r"(?P<n>\d+) events? after offset (?P<offset>\d+) of partition (?P<at>\d+)",
        "파티션 {at}의 오프셋 {offset} 이후 {n}건",
    ),
    _sentence(r"(?P<n>\d+) events? of partition (?P<at>\d+)", "파티션 {at}의 {n}건"),
    _sentence(r"(?P<n>\d+) events of (?P<others>\d+) other partitions", "그 밖의 파티션 {others}개의 {n}건"),
    _sentence(r"(?P<n>[+-]\d+) (?P<unit>\S+) after the close", "마감 후 {unit} {n}"),
    _sentence(r"(?P<n>[+-]\d+) (?P<unit>\S+) attributed anew", "귀속 부서가 바뀐 {unit} {n}"),
    _sentence(r"copies with another time were taken out of (?P<model>.+)", "시각이 다른 중복 기록을 뺌: {model}"),
    _sentence(r"no longer price row (?P<was>\S+), now (?P<now>.+)", "가격 행 {was} 대신 {now}"),
    _sentence(r"no longer price row (?P<was>\S+)", "가격 행 {was} 적용 안 함"),
    _sentence(
        r"price row (?P<now>\S+), where the closed statement had no price", "마감 때 가격 없음, 이제 가격 행 {now}"
    ),
    _sentence(r"price row (?P<now>\S+) instead of (?P<was>.+)", "가격 행 {was} 대신 {now}"),
    _sentence(r"price row (?P<now>\S+)", "가격 행 {now}"),
    _sentence(r"the terms of its price changed", "가격의 계약 조건이 바뀜"),
    _sentence(r"exchange rate (?P<rates>.+) instead of (?P<lost_rates>.+)", "환율 {lost_rates} 대신 {rates}"),
    _sentence(r"exchange rate (?P<rates>.+)", "환율 {rates}"),
    _sentence(r"(allocated|tax|adjustments) (?P<key>.+), computed again", "다시 계산: {key}"),
    _sentence(r"there is nothing to share", "배부할 금액 없음"),
    _sentence(
        r"no department has a weight by (?P<basis>.+): it stays here", "{basis} 기준에 드는 부서가 없어 여기에 남음"
    ),
    _sentence(r"no such amount of (?P<vendor>.+) is known for (?P<month>\S+)", "{month}에 {vendor}의 그런 금액 없음"),
    _sentence(
        r"there is no rate of (?P<base>\S+) in (?P<quote>\S+) for (?P<month>\S+): .*",
        "{month}에 쓸 {base}/{quote} 환율이 없음",
    ),
)
_MONTH_FIRST = re.compile(r"(\d{4}-\d{2}): (.+)", re.DOTALL)
_RATE = re.compile(r"([\d.]+) of (\d{4}-\d{2}-\d{2})")


def fact_name(name: str, language: Language) -> str:
    """What a fact of a charge is called; its own name where nothing here knows it. Dots lead into what it holds."""
    *_, last = name.split(".")
    pair = _FACTS.get(last)
    if name.startswith(("amounts.", "pool_document.amounts.")):
        return f"{_FACTS['amounts'][_PLACE[language]]} {last}"
    return name if pair is None else pair[_PLACE[language]]


def fact_value(name: str, value: str, language: Language) -> str:
    """What a fact says: known words and sentences in the language, figures with thousands, all else as it is."""
    *above, last = name.split(".")
    if last in FIGURES or (above and above[-1] in FIGURES):
        return grouped(value)
    if last == "unit":
        return unit_name(value, language)
    if last in ("why", "origin"):
        return sentence(value, language)
    if last == "due":
        return (("예", "아니요"), ("yes", "no"))[_PLACE[language]][value != "True"]
    head, separator, rest = value.partition(":")
    known = _VALUES.get(last, {}).get(head)
    if known is None:
        return value
    return known[_PLACE[language]] + (f" ({rest})" if separator else "")


def sentence(text: str, language: Language) -> str:
    """A sentence of ours in the language, where it is one that is known; another is kept as it stands."""
    if language == "en":
        return text
    if found := _MONTH_FIRST.fullmatch(text):
        return f"{found[1]}: {sentence(found[2], language)}"
    parts = text.split("; ")
    if len(parts) > 1 and all(_korean(part) is not None for part in parts):
        return "; ".join(_korean(part) or part for part in parts)
    return _korean(text) or text


def _korean(text: str) -> str | None:
    for one in _SENTENCES:
        if found := one.pattern.fullmatch(text):
            return one.korean.format(**{name: _part(name, part) for name, part in found.groupdict().items()})
    return None


def _part(name: str, text: str) -> str:
    if name == "unit":
        return unit_name(text, "ko")
    if name == "rest":
        return sentence(text, "ko")
    if name == "basis":
        return fact_value("basis", text, "ko")
    if name in ("rates", "lost_rates"):
        return words("ko")["none"] if text == "none" else _RATE.sub(r"\1(\2)", text)
    return text
