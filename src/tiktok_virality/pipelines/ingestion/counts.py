"""Reading counts as people and apps write them: to the last view, or not at all."""

from __future__ import annotations

import re
from typing import Final

import numpy as np
import pandas as pd

from tiktok_virality.pipelines.ingestion.columns import MAX_VIEWS

EXPONENTS: Final = {
    "": 0,
    "k": 3,
    "m": 6,
    "b": 9,
    "万": 4,
    "萬": 4,
    "亿": 8,
    "億": 8,
}
"""Power of ten that a unit stands for; 万 is ten thousand and 亿 a hundred million."""

COUNT: Final = re.compile(
    r"(?P<whole>[0-9]+|[0-9]{1,3}(?:,[0-9]{3})+)"
    r"(?:\.(?P<fraction>[0-9]+))?"
    r"\s*(?P<unit>[kmb万萬亿億]?)"
)
FULL_WIDTH: Final = {
    **{0xFF10 + digit: str(digit) for digit in range(10)},
    ord("\N{FULLWIDTH COMMA}"): ",",
    ord("\N{FULLWIDTH FULL STOP}"): ".",
}
"""How East Asian keyboards write digits and their marks."""

LONGEST: Final = 18
"""Digits that surely fit 64 bits; a longer count is refused before it is computed."""

FAULTS: Final = (
    (r"-\s*[0-9].*", "is negative"),
    (r"(?:nan|[+-]?inf(?:inity)?|none|null|true|false)", "is no number"),
    (r"[0-9]+(?:\.[0-9]+)?e[+-]?[0-9]+", "is rounded: its last digits are not there"),
    (
        r"[0-9]{1,3}(?:\.[0-9]{3}){2,}\s*[kmb万萬亿億]?"
        r"|0*[1-9][0-9]{0,2}\.[0-9]{3}"
        r"|[0-9]+,[0-9]+\s*[kmb万萬亿億]"
        r"|[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?\s*[kmb万萬亿億]",
        "is ambiguous: its marks may divide thousands or tenths",
    ),
)
"""What a count may be instead, and how to say so; the first that matches is said. Where both a
decimal mark and a mark of thousands make sense, neither is taken."""

MISSING: Final = "there is no view count"


def parse_counts(texts: pd.Series) -> pd.DataFrame:
    """Read counts such as ``"21.1M"``, ``"541.2K"``, ``"1,234"``, ``"12万"`` or ``"3384"``.

    All of it is integer arithmetic, so ``"1.2K"`` is 1200 and nothing near it.

    Args:
        texts: What a source says, text or missing.

    Returns:
        ``count``, Int64, missing where the text cannot be taken at its word; and ``fault``, what
        is wrong then, in words, missing otherwise. The index is that of ``texts``.
    """
    written = texts.astype("str").str.translate(FULL_WIDTH).str.strip().str.lower()
    faults = pd.Series(pd.NA, index=texts.index, dtype="str")
    for pattern, fault in FAULTS:
        faults = faults.mask(faults.isna() & written.str.fullmatch(pattern).fillna(False), fault)
    parts = written.str.extract(f"^(?:{COUNT.pattern})$")
    faults = faults.mask(faults.isna() & parts["whole"].isna(), "is unreadable")
    exponent = parts["unit"].map(EXPONENTS)
    whole = parts["whole"].str.replace(",", "", regex=False).str.lstrip("0")
    fraction = parts["fraction"].fillna("").str.rstrip("0")
    broken = fraction.str.len() > exponent
    faults = faults.mask(faults.isna() & broken, "is no whole number")
    huge = (whole + fraction).str.len() > LONGEST
    digits = (whole + fraction).where(~huge & faults.isna()).replace("", "0")
    shift = (exponent - fraction.str.len()).where(digits.notna(), 0)
    numbers = digits.fillna("0").astype("int64")
    scale = np.power(10, shift.clip(lower=0).astype("int64"))
    huge |= numbers > MAX_VIEWS // scale
    faults = faults.mask(faults.isna() & huge, "is more than any video has")
    counts = pd.Series(numbers * scale, index=texts.index, dtype="Int64")
    quoted = texts.map(repr, na_action="ignore").astype("str")
    said = "the view count " + quoted + " " + faults
    return pd.DataFrame(
        {
            "count": counts.mask(faults.notna()),
            "fault": said.mask(texts.isna(), MISSING).astype("str"),
        }
    )
