"""Creators are told apart, and not named."""

from __future__ import annotations

import hashlib
import hmac

from pydantic import SecretStr

from tiktok_virality.collection.creators import CreatorNames, creator_hash

KEY = SecretStr("a key")


def test_the_hash_is_hmac_sha256_of_the_name_in_lower_case():
    expected = hmac.new(b"a key", b"ann.b", hashlib.sha256).hexdigest()
    assert creator_hash("@Ann.B", KEY) == creator_hash("ann.b", KEY) == expected[:32]
    assert creator_hash("ann.b", SecretStr("another")) != creator_hash("ann.b", KEY)


def test_mentions_are_hashed_as_their_creators_are_and_addresses_stay():
    names = CreatorNames(KEY, keep=False)
    ann = creator_hash("ann.b", KEY)
    assert names.write_text("by @ann.b. mail x@ann.b") == f"by @{ann}. mail x@ann.b"


def test_names_stay_when_asked_for():
    assert CreatorNames(KEY, keep=True).write_text("by @ann.b") == "by @ann.b"
