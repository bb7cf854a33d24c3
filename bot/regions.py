"""Which phone numbers this deployment may write to or call: by country, not by "+1". Pure.

+1 is also Jamaica and twenty more; pumped texts and calls go there for a fee (shared/reference/trust.md section 3).
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

import phonenumbers
from phonenumbers import PhoneNumberType

_COSTLY = frozenset({PhoneNumberType.PREMIUM_RATE, PhoneNumberType.SHARED_COST})


@lru_cache(maxsize=4096)
def is_allowed(phone: str, regions: Collection[str]) -> bool:
    """*phone* (E.164) belongs to one of *regions* and costs nobody a premium. A number that no country claims, such as
    +1 500, counts as one of its country code's."""
    try:
        number = phonenumbers.parse(phone)
    except phonenumbers.NumberParseException:
        return False
    if phonenumbers.number_type(number) in _COSTLY:
        return False
    region = phonenumbers.region_code_for_number(number)
    if region is None:
        return number.country_code in {phonenumbers.country_code_for_region(each) for each in regions}
    return region in regions
