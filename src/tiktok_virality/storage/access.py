"""Who may read and write a bucket, and how it is reached."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from pydantic import ConfigDict, SecretStr, ValidationError, field_validator

from tiktok_virality.schema import Config, ConfigurationError, faults_in_words

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Store

REGION: Final = "us-east-1"
"""What servers of one's own answer to."""

ANSWER_WITHIN: Final = "60s"
CONNECT_WITHIN: Final = "10s"
RETRIES: Final = 5
RETRY_WITHIN: Final = timedelta(seconds=20)
"""For one request that fails on its way; who can wait longer does (`execution.absence`)."""


class StorageAccess(Config):
    """The credentials ``storage``: what a bucket is opened with.

    Attributes:
        key: The id of the key; ``None`` asks as nobody, as public buckets allow.
        secret: Of that key.
        token: Of a session, where the key is of one.
        endpoint: Such as ``http://host:9000``; ``None`` is Amazon's, by region.
        region: Of the bucket.
        folder: Of this machine, for copies of what is read.
        gigabytes: What copies may take before those that were not used for longest go.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    key: SecretStr | None = None
    secret: SecretStr | None = None
    token: SecretStr | None = None
    endpoint: str | None = None
    region: str = REGION
    folder: Path = Path("~/.cache/tiktok_virality")
    gigabytes: float = 100

    @field_validator("endpoint")
    @classmethod
    def _is_address(cls, endpoint: str | None) -> str | None:
        """Let nothing pass that the client would choke on, or that messages must not repeat."""
        if endpoint is None:
            return None
        parts = urlsplit(endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be an address such as http://host:9000")
        if parts.username is not None or parts.password is not None:
            raise ValueError("must not hold a name or a password: there are key and secret")
        return endpoint

    @classmethod
    def of(cls, credentials: Mapping[str, Any] | None) -> StorageAccess:
        """Return what the credentials say; what is ``None`` there has its default.

        Raises:
            ConfigurationError: There is no such credential, or it is not of the right kind.
        """
        given = {key: value for key, value in (credentials or {}).items() if value is not None}
        try:
            access = cls(**given)
        except ValidationError as error:
            raise ConfigurationError(
                "Wrong credentials 'storage' in conf/local/credentials.yml: "
                f"{faults_in_words(error)}. There are key, secret, token, endpoint and region."
            ) from None
        if (access.key is None) != (access.secret is None):
            lacking = "secret" if access.secret is None else "key"
            raise ConfigurationError(
                f"The credentials 'storage' have no {lacking}. Give key and secret in "
                "conf/local/credentials.yml, or neither of them for a public bucket."
            )
        return access

    @property
    def server(self) -> str:
        """How messages name the server."""
        return self.endpoint or f"the S3 of {self.region}"

    def __repr__(self) -> str:
        return f"StorageAccess({self.server})"

    __str__ = __repr__


@lru_cache(maxsize=8)
def open_bucket(access: StorageAccess, name: str) -> S3Store:
    """Return the client of a bucket, one for all threads of a process.

    Raises:
        ConfigurationError: The package for it is missing, or the endpoint is no address.
    """
    try:
        from obstore.exceptions import BaseError
        from obstore.store import S3Store
    except ImportError as error:
        raise ConfigurationError(
            "Data at s3:// need the extra `s3`: pip install -c constraints.txt -e '.[s3]'."
        ) from error
    options: dict[str, Any] = {"region": access.region}
    if access.endpoint is not None:
        options["endpoint"] = access.endpoint
    for option, value in (
        ("access_key_id", access.key),
        ("secret_access_key", access.secret),
        ("session_token", access.token),
    ):
        if value is not None:
            options[option] = value.get_secret_value()
    if access.key is None:
        options["skip_signature"] = True
    client: ClientConfig = {
        "allow_http": (access.endpoint or "").startswith("http://"),
        "timeout": ANSWER_WITHIN,
        "connect_timeout": CONNECT_WITHIN,
    }
    try:
        return S3Store(
            name,
            client_options=client,
            retry_config={"max_retries": RETRIES, "retry_timeout": RETRY_WITHIN},
            **options,
        )
    except BaseError:  # its message may repeat what it was given
        raise ConfigurationError(
            f"No bucket {name!r} can be opened at {access.server}. An endpoint is an address such "
            "as http://host:9000; mend `storage` in conf/local/credentials.yml."
        ) from None
