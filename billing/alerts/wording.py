"""The words of alerts, Korean and English. Fields in braces are filled in by `messages`, made harmless there."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from billing.alerts.alert import Kind

Words = tuple[str, str]

WINDOWS: Mapping[str, Words] = MappingProxyType(
    {
        "hour": ("시간", "hour"),
        "day": ("일", "day"),
        "week": ("주", "week"),
        "month": ("월", "month"),
        "year": ("연", "year"),
    }
)
WHO: Mapping[str, Words] = MappingProxyType(
    {
        "organisation": ("기관 전체", "the organisation"),
        "department": ("부서", "department"),
        "programme": ("사업", "programme"),
        "user": ("사용자", "user"),
    }
)
SUBJECTS: Mapping[Kind, Words] = MappingProxyType(
    {
        "threshold": (
            "{who}: {window} 한도의 {threshold}%에 이르렀습니다",
            "{who}: {threshold}% of the {window}'s quota is used",
        ),
        "projected": (
            "{who}: 이대로면 {window} 한도를 기간이 끝나기 전에 다 씁니다",
            "{who}: the {window}'s quota will be spent before it ends, as it goes now",
        ),
        "budget": (
            "{who}: {period} 예산의 {threshold}%에 이르렀습니다",
            "{who}: {threshold}% of the budget of {period} is spent",
        ),
        "spike": ("{who}: 사용량이 평소보다 훨씬 많습니다", "{who}: far more is used than usual at this hour"),
        "new_model": ("새 모델을 쓰기 시작했습니다: {provider} {model}", "a new model is in use: {provider} {model}"),
        "unpriced": ("단가가 없는 사용이 있습니다: {provider} {model}", "use without a price: {provider} {model}"),
        "late": (
            "수집이 멈췄습니다: 파티션 {partition}, 오프셋 {offset}",
            "the pipeline stands still: partition {partition} at offset {offset}",
        ),
        "silent": (
            "평소와 달리 사용 기록이 오지 않습니다: {source}",
            "a source is silent longer than is usual: {source}",
        ),
        "invoice": ("청구서가 들어왔습니다: {vendor}", "an invoice has arrived: {vendor}"),
        "break": (
            "대사 차이가 나왔습니다: {vendor} {month} {class}",
            "a break is open: {vendor} {month} {class}",
        ),
        "pledge": (
            "{who}: 서약서가 {ends_on}에 끝납니다. 다시 서명해 주십시오",
            "{who}: the pledge ends on {ends_on}; please sign again",
        ),
        "place": (
            "{who}: 과제 {programme}에 자리가 났습니다",
            "{who}: a place in programme {programme} has become free",
        ),
    }
)
CASES: Mapping[tuple[Kind, str], Words] = MappingProxyType(
    {
        ("late", "away"): (
            "카프카가 응답하지 않아 사용 기록이 모이지 않습니다",
            "Kafka does not answer: no use can be collected",
        ),
        ("pledge", "version"): (
            "{who}: 서약서가 새 판({version})으로 바뀌었습니다. 다시 서명해 주십시오",
            "{who}: there is a new version of the pledge ({version}); please sign it",
        ),
    }
)
"""Instead of a kind's words, where an alert's `case` is another."""
LABELS: Mapping[str, Words] = MappingProxyType(
    {
        "who": ("대상", "Whose"),
        "used": ("사용", "Used"),
        "limit": ("한도", "Limit"),
        "threshold": ("기준", "Threshold"),
        "projected": ("기간 끝의 예상", "Projected at the end"),
        "exhausted_at": ("소진 예상 시각", "Spent by about"),
        "model": ("모델", "Models"),
        "provider": ("제공자", "Provider"),
        "unit": ("단위", "Unit"),
        "window_start": ("기간의 시작", "Window from"),
        "period": ("예산 기간", "Budget period"),
        "amount": ("금액", "Amount"),
        "spent": ("집행", "Spent"),
        "hour_start": ("시각", "Hour from"),
        "usual": ("평소", "Usual"),
        "seen": ("지금", "Seen"),
        "weeks": ("비교한 주", "Weeks compared"),
        "quantity": ("수량", "Quantity"),
        "units": ("단위", "Units"),
        "partition": ("파티션", "Partition"),
        "offset": ("오프셋", "Offset"),
        "waiting": ("기다리는 기록", "Records waiting"),
        "since": ("부터", "Since"),
        "source": ("출처", "Source"),
        "last_seen": ("마지막 기록", "Last seen"),
        "hours": ("조용한 시간", "Silent hours that are usually busy"),
        "vendor": ("공급자", "Vendor"),
        "files": ("파일 수", "Files"),
        "first_day": ("첫날", "First day"),
        "last_day": ("마지막 날", "Last day"),
        "totals": ("합계", "Totals"),
        "break": ("차이", "Break"),
        "month": ("월", "Month"),
        "class": ("분류", "Class"),
        "version": ("판", "Version"),
        "ends_on": ("끝나는 날", "Ends on"),
        "programme": ("과제", "Programme"),
        "alert": ("알림 번호", "Alert"),
        "delivery": ("전달 번호", "Delivery"),
    }
)
