"""Who was forgotten: what neither collection nor ingestion may take again."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from kedro.io import AbstractDataset

from tiktok_virality.addresses import plain_creator
from tiktok_virality.datasets.part_files import write_bytes_atomically
from tiktok_virality.schema import DataError
from tiktok_virality.storage import place_at

SALT_BYTES: Final = 16


@dataclass(frozen=True, kw_only=True)
class ForgetList:
    """Videos and creators that are not to be taken again.

    Attributes:
        videos: Ids that were named one by one, as they are.
        hashes: Keyed hashes of ids and names that were forgotten with a creator.
        salt: Their key. It keeps names from being read, not from being guessed: who holds this
            list can try a name.
    """

    videos: frozenset[str] = frozenset()
    hashes: frozenset[str] = frozenset()
    salt: str = field(default_factory=lambda: secrets.token_hex(SALT_BYTES))

    def __contains__(self, name: object) -> bool:
        """Tell whether an id or a creator was forgotten."""
        if not isinstance(name, str):
            return False
        if name in self.videos:
            return True
        spellings = {name, plain_creator(name)} if self.hashes else set()
        return any(self.hash_of(each) in self.hashes for each in spellings)

    def __len__(self) -> int:
        return len(self.videos) + len(self.hashes)

    def hash_of(self, name: str) -> str:
        """Return the keyed hash of an id or a name."""
        return hmac.new(bytes.fromhex(self.salt), name.encode(), hashlib.sha256).hexdigest()

    def with_videos(self, ids: Iterable[str]) -> ForgetList:
        """Return the list with these ids as well."""
        return replace(self, videos=self.videos | set(ids))

    def with_creators(self, names: Iterable[str], ids: Iterable[str]) -> ForgetList:
        """Return the list with creators, however written, and their videos as well, hashed."""
        names = [form for name in names for form in (name, plain_creator(name))]
        return replace(self, hashes=self.hashes | {self.hash_of(each) for each in (*names, *ids)})


class ForgetListFile(AbstractDataset[ForgetList, ForgetList]):
    """The forget list as JSON; an empty one where there is no file.

    Args:
        filepath: The file.
        credentials: Of a place in a bucket; see `storage`.
        metadata: For Kedro plugins.
    """

    def __init__(
        self,
        *,
        filepath: str,
        credentials: Mapping[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._filepath = place_at(filepath, credentials)
        self.metadata = metadata

    def load(self) -> ForgetList:
        """Read the list.

        Raises:
            DataError: The file is broken: without it, what was forgotten would be taken again.
        """
        if not self._filepath.exists():
            return ForgetList()
        try:
            content = json.loads(self._filepath.read_text(encoding="utf-8"))
            return ForgetList(
                videos=frozenset(content["videos"]),
                hashes=frozenset(content["hashes"]),
                salt=content["salt"],
            )
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{self._filepath} is no forget list: {error!r}. Restore it: without it, videos "
                "that were forgotten would be taken again."
            ) from error

    def save(self, data: ForgetList) -> None:
        """Write the list at once."""
        content = {
            "videos": sorted(data.videos),
            "hashes": sorted(data.hashes),
            "salt": data.salt,
        }
        self._filepath.parent.mkdir(parents=True, exist_ok=True)
        write_bytes_atomically(self._filepath, (json.dumps(content, indent=1) + "\n").encode())

    def _exists(self) -> bool:
        return self._filepath.exists()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
