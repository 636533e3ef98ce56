"""Amounts of won in words, as Korean offices write them on papers that are paid: 금 일십이만삼천사백오십육원정.

Every digit is written, also a leading one (일십, 일백), so that none can be put before it; numbers are grouped by four
digits (만, 억, 조, 경, 해). Pure.
"""

from __future__ import annotations

from decimal import Decimal

DIGITS = ("", "일", "이", "삼", "사", "오", "육", "칠", "팔", "구")
PLACES = ("", "십", "백", "천")
GROUPS = ("", "만", "억", "조", "경", "해")
DIGITS_MAX = 4 * len(GROUPS)


def won_in_words(amount: Decimal) -> str:
    """A whole number of won in words. Raises ValueError for a fraction, and for more than 24 digits."""
    if amount != amount.to_integral_value():
        raise ValueError(f"{amount} is no whole number of won: words are written for booked amounts only")
    number = int(amount)
    sign = "마이너스 " if number < 0 else ""
    return f"금 {sign}{_spelled(abs(number))}원정"


def _spelled(number: int) -> str:
    if number == 0:
        return "영"
    digits = str(number)
    if len(digits) > DIGITS_MAX:
        raise ValueError(f"a number of {len(digits)} digits has no name here: at most {DIGITS_MAX}")
    words = []
    for place, group in enumerate(GROUPS):
        end = len(digits) - 4 * place
        four = digits[max(0, end - 4) : max(0, end)]
        spelled = "".join(
            DIGITS[int(digit)] + PLACES[power]
            for power, digit in zip(range(len(four) - 1, -1, -1), four, strict=True)
            if digit != "0"
        )
        if spelled:
            words.append(spelled + group)
    return "".join(reversed(words))
