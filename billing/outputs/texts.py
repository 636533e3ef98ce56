"""What stands on statements, in Korean and English: labels, names of units and of states. Pure."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Language = Literal["ko", "en"]

_WORDS: dict[str, tuple[str, str]] = {
    "title": ("AI 사용료 명세서", "Statement of AI usage"),
    "title_organisation": ("AI 사용료 총괄표", "Summary of AI usage"),
    "organisation": ("기관", "Organisation"),
    "organisation_unnamed": ("기관 전체", "The organisation"),
    "department": ("부서", "Department"),
    "department_name": ("부서 이름", "Department name"),
    "department_count": ("부서 수", "Departments"),
    "departments": ("부서별 금액", "By department"),
    "unattributed": ("귀속 부서 없음", "Unattributed use"),
    "month": ("사용월", "Month"),
    "status": ("상태", "Status"),
    "content_hash": ("내용 해시", "Content hash"),
    "lines": ("사용 내역", "Use"),
    "model": ("모델", "Model"),
    "provider": ("제공자", "Provider"),
    "unit": ("단위", "Unit"),
    "quantity": ("수량", "Quantity"),
    "price_status": ("가격 상태", "Price status"),
    "unit_price": ("단가", "Unit price"),
    "price": ("가격", "Price"),
    "per": ("기준 수량", "Per"),
    "price_currency": ("가격 통화", "Price currency"),
    "price_id": ("가격 행", "Price row"),
    "price_source": ("가격 출처", "Price source"),
    "terms": ("계약 조건", "Contract terms"),
    "amount_exact": ("정확한 금액", "Exact amount"),
    "fx_rate": ("환율", "Rate"),
    "amount": ("금액", "Amount"),
    "section": ("구분", "Section"),
    "description": ("내용", "Description"),
    "allocated": ("공통비 배부", "Shared costs"),
    "adjustments": ("정정", "Corrections"),
    "taxes": ("세금", "Tax"),
    "tax": ("세금", "Tax"),
    "total": ("합계", "Total"),
    "sums": ("합계표", "Sums"),
    "charges": ("배부와 정정", "Charges"),
    "in_words": ("금액(한글)", "In Korean numerals"),
    "budget": ("예산", "Budget"),
    "last_month": ("전월", "Last month"),
    "change": ("전월 대비", "Change"),
    "budget_left": ("예산 잔액", "Budget left"),
    "rates": ("적용 환율", "Exchange rates used"),
    "date": ("날짜", "Date"),
    "source": ("출처", "Source"),
    "several_rates": ("{count}개", "{count} rates"),
    "page": ("쪽", "Page"),
    "nothing": ("이 달에는 사용 내역이 없습니다.", "Nothing was used in this month."),
    "none": ("없음", "none"),
    "unpriced": ("가격 없음", "no price"),
    "unconverted": ("환율 없음", "no rate"),
    "not_billable": ("과금 없음", "not billed"),
    "priced": ("가격 있음", "priced"),
    "warning": ("주의", "Attention"),
    "warn_unpriced": (
        "가격이 없는 사용량 {quantity}이(가) 있습니다. 그 비용은 합계에 들어 있지 않으며 0이 아닙니다.",
        "{quantity} units of use have no price. What they cost is not in the total, and it is not 0.",
    ),
    "warn_unconverted": (
        "환율이 없는 사용량 {quantity}이(가) 있습니다. 그 비용은 합계에 들어 있지 않으며 0이 아닙니다.",
        "{quantity} units of use have no exchange rate. What they cost is not in the total, and it is not 0.",
    ),
    "warn_open": (
        "마감 전 명세서입니다. 다시 만들면 금액이 달라질 수 있습니다.",
        "The period is not closed: made again, figures may differ.",
    ),
    "cut_digits": (
        "…는 뒷자리를 생략한 표시입니다. 모든 자리는 XLSX와 CSV에 있습니다.",
        "… marks digits left out; the XLSX and CSV files hold all of them.",
    ),
    "check_it": (
        "이 파일이 장부와 같은지는 jangbu statement verify로 확인합니다.",
        "jangbu statement verify checks this file against the ledger.",
    ),
    "exact_text": ("정확한 값(문자)", "Exact, as text"),
    "by_formula": ("수식 합계", "Summed by formula"),
    "stated": ("명세서 값", "As stated"),
    "agrees": ("일치", "Agrees"),
    "yes": ("일치", "agrees"),
    "no": ("불일치", "DIFFERS"),
    "line_sum": ("사용 내역 소계", "Use"),
    "open": ("마감 전", "open"),
    "grace": ("유예 중", "grace"),
    "reconciled": ("대사 완료", "reconciled"),
    "closed": ("마감", "closed"),
    "unpriced_quantity": ("가격 없는 수량", "Unpriced quantity"),
    "unconverted_quantity": ("환율 없는 수량", "Unconverted quantity"),
    "total_exact": ("정확한 합계", "Exact total"),
    "fx_rows": ("환율 내역", "Rates"),
}

_UNITS: dict[str, tuple[str, str]] = {
    "input_tokens": ("입력 토큰", "Input tokens"),
    "cache_read_tokens": ("캐시 읽기 토큰", "Cache read tokens"),
    "cache_write_5m_tokens": ("캐시 쓰기(5분) 토큰", "Cache write (5 min) tokens"),
    "cache_write_1h_tokens": ("캐시 쓰기(1시간) 토큰", "Cache write (1 h) tokens"),
    "cache_write_tokens": ("캐시 쓰기 토큰", "Cache write tokens"),
    "output_tokens": ("출력 토큰", "Output tokens"),
    "reasoning_tokens": ("추론 토큰", "Reasoning tokens"),
    "audio_input_tokens": ("음성 입력 토큰", "Audio input tokens"),
    "audio_output_tokens": ("음성 출력 토큰", "Audio output tokens"),
    "image_input_tokens": ("이미지 입력 토큰", "Image input tokens"),
    "image_output_tokens": ("이미지 출력 토큰", "Image output tokens"),
    "video_input_tokens": ("영상 입력 토큰", "Video input tokens"),
    "web_searches": ("웹 검색", "Web searches"),
    "requests": ("요청", "Requests"),
}


def words(language: Language) -> Mapping[str, str]:
    """All labels in a language."""
    return MappingProxyType({name: pair[_PLACE[language]] for name, pair in _WORDS.items()})


def unit_name(unit: str, language: Language) -> str:
    """What a unit is called; one that has no name here keeps its own."""
    pair = _UNITS.get(unit)
    return unit if pair is None else pair[_PLACE[language]]


def status_name(status: str, language: Language) -> str:
    """What a state of a period is called; several are separated by a slash."""
    known = words(language)
    return "/".join(known.get(part, part) for part in status.split("/"))


def month_name(month: str, language: Language) -> str:
    """2026년 10월, or October 2026."""
    year, number = month.split("-")
    if language == "ko":
        return f"{int(year)}년 {int(number)}월"
    return f"{_MONTHS[int(number) - 1]} {int(year)}"


_PLACE = {"ko": 0, "en": 1}
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
           "December")  # fmt: skip
