"""Removing videos from part files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tiktok_virality.datasets.forgetting import Forgotten, redact_texts
from tiktok_virality.datasets.part_checks import generation_of
from tiktok_virality.datasets.part_files import FileColumn, open_part, write_part
from tiktok_virality.storage import Place

if TYPE_CHECKING:
    import pyarrow as pa


def forget_in_part(
    path: Place, names: Forgotten, file_columns: Mapping[str, FileColumn], *, dry_run: bool = False
) -> set[str]:
    """Rewrite a part without the rows of some videos, and remove their files.

    Texts of the other rows that name one of them name an alias instead.

    Returns:
        The ids that it had rows of.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    table = open_part(path)
    ids = table.column("video_id").to_pylist()
    gone = [video_id in names for video_id in ids]
    found = {video_id for video_id in ids if video_id in names}
    mask = pa.array(gone, pa.bool_())
    kept = table.filter(pc.invert(mask)) if found else table
    kept = redact_texts(kept, names)
    if dry_run or kept is table:
        return found
    for name, column in file_columns.items():
        if name in table.column_names:
            for file_name in table.column(name).filter(mask).drop_null().to_pylist():
                (column.folder / file_name).unlink(missing_ok=True)
    _replace_part(path, kept)
    return found


def _replace_part(path: Place, table: pa.Table) -> None:
    """Replace a part by what is left of it, of the same save; a part without rows goes."""
    if table.num_rows:
        new = write_part(path.parent, table, generation_of(path))
        if isinstance(path, Path) and isinstance(new, Path):
            status = path.stat()
            os.utime(
                new, ns=(status.st_atime_ns, status.st_mtime_ns)
            )  # the order of earlier versions
    path.unlink()
