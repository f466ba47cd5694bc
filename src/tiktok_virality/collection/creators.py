"""Names of creators: stored as keyed hashes, so that data tell them apart and name nobody."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Final

from pydantic import SecretStr

HASH_DIGITS: Final = 32
MENTION: Final = re.compile(r"(?<![\w.])@([\w.]*\w)")


def creator_hash(name: str, key: SecretStr) -> str:
    """Return what stands for a creator: HMAC-SHA256 of the name, 128 bits of it in hexadecimal.

    Args:
        name: As in the address of the creator's page, with or without ``@``; case does not count.
        key: Whoever has it can find out whether a given name is meant; nobody else can.
    """
    normal = name.strip().removeprefix("@").lower()
    digest = hmac.new(key.get_secret_value().encode(), normal.encode(), hashlib.sha256)
    return digest.hexdigest()[:HASH_DIGITS]


@dataclass(frozen=True)
class CreatorNames:
    """How names are written.

    Attributes:
        key: Of the hashes.
        keep: Whether names stay as they are.
    """

    key: SecretStr
    keep: bool

    def write(self, name: str) -> str:
        """Return a name as it is stored."""
        return name if self.keep else creator_hash(name, self.key)

    def write_text(self, text: str) -> str:
        """Return a text with every mention, ``@name``, as it is stored."""
        return MENTION.sub(lambda match: f"@{self.write(match[1])}", text)
