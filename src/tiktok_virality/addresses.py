"""What an address says of its post, and when two names are of one creator."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

CREATOR_IN_URL: Final = re.compile(r"/@([^/?#]+)")
ID_IN_URL: Final = re.compile(r"/(?:video|photo|v)/(\d+)(?=\.html|[/?#]|$)")


def creator_in_url(url: str | None) -> str | None:
    """Return the creator's name from an address such as ``https://.../@name/video/7106``."""
    match = CREATOR_IN_URL.search(url) if url else None
    return unquote(match[1]) if match else None


def id_in_url(url: str | None) -> str | None:
    """Return the id from ``.../video/7106``, ``.../photo/7106`` or ``.../v/7106.html``."""
    match = ID_IN_URL.search(url.strip()) if url else None
    return match[1] if match else None


def plain_creator(name: str) -> str:
    """Return a creator's name as it is compared: ``@Name``, ``name`` and ``Name`` are one."""
    return name.strip().lstrip("@").strip().casefold()
