"""Tables in CSV that people open in a spreadsheet, where some words are programs."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import pandas as pd
from kedro_datasets.pandas import CSVDataset

FORMULA: Final = re.compile(r"^'*\s*[=+\-@]")
"""What a spreadsheet takes for a formula, with or without apostrophes before it."""
QUOTED: Final = re.compile(r"^'+\s*[=+\-@]")


class SpreadsheetCSV(CSVDataset):
    """A table in CSV whose texts are texts: one that begins as a formula has an apostrophe first.

    Spreadsheets run ``=HYPERLINK(...)``, and a name of a file can say that. Loading gives back what
    was saved; numbers stay what they are.
    """

    def save(self, data: pd.DataFrame) -> None:
        """Write the table."""
        super().save(_with_texts(data, _quoted))

    def load(self) -> pd.DataFrame:
        """Read the table."""
        return _with_texts(super().load(), _unquoted)


def _with_texts(table: pd.DataFrame, change: Callable[[Any], Any]) -> pd.DataFrame:
    texts = [name for name in table if not pd.api.types.is_numeric_dtype(table[name])]
    return table.assign(**{str(name): table[name].map(change) for name in texts})


def _quoted(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value


def _unquoted(value: Any) -> Any:
    if isinstance(value, str) and QUOTED.match(value):
        return value.replace("'", "", 1)
    return value
