"""The ids of posts, where a spreadsheet may have rounded them."""

from __future__ import annotations

import re
from typing import Final

import pandas as pd

from tiktok_virality.addresses import id_in_url

SCIENTIFIC: Final = re.compile(r"\d([.,]\d+)?e\+?\d+", re.IGNORECASE)
"""``7.30123E+18``: no site gives such an id."""

CUT_OFF: Final = re.compile(r"[1-9]\d{14,}?(0{3,})")
"""``7301234567890120000``: what spreadsheets and JavaScript leave of 19 digits."""

FLOAT_DIGITS: Final = 15
"""Digits of a whole number that a 64-bit float surely keeps."""


def is_rounded(post_id: str) -> bool:
    """Tell whether an id looks like a rounded one."""
    return SCIENTIFIC.fullmatch(post_id) is not None or CUT_OFF.fullmatch(post_id) is not None


def whole_ids(raw: pd.DataFrame) -> pd.DataFrame:
    """Return the ids of posts, those from their addresses that are missing or rounded.

    Args:
        raw: ``id`` and ``url``, text or missing.

    Returns:
        ``id``, or missing; and ``id_from``: ``source``, ``address`` where the source gives none,
        ``address, rounded`` where it gives a rounded one.
    """
    by_address = raw["url"].map(id_in_url, na_action="ignore").astype("str")
    absent = raw["id"].isna() & by_address.notna()
    pairs = zip(raw["id"], by_address, strict=True)
    rounded = pd.Series(
        [not pd.isna(i) and not pd.isna(a) and is_rounding_of(i, a) for i, a in pairs],
        index=raw.index,
        dtype=bool,
    )
    origin = pd.Series("source", index=raw.index, dtype="str")
    origin = origin.mask(absent, "address").mask(rounded, "address, rounded")
    return pd.DataFrame({"id": raw["id"].mask(absent | rounded, by_address), "id_from": origin})


def is_rounding_of(post_id: str, whole: str) -> bool:
    """Tell whether an id is what is left of another one that an address gives whole.

    What is written with an exponent is, whatever it says: it is no id. An id in digits is, if it
    differs by what 64-bit floats or the zeros at its end have swallowed.
    """
    if SCIENTIFIC.fullmatch(post_id):
        return True
    if post_id == whole or len(post_id) != len(whole) or len(whole) <= FLOAT_DIGITS:
        return False
    if not (post_id.isascii() and post_id.isdigit()):
        return False
    cut = CUT_OFF.fullmatch(post_id)
    lost = 10 ** len(cut[1]) if cut else 0
    return float(post_id) == float(whole) or abs(int(post_id) - int(whole)) < lost
