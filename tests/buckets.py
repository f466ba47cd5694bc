"""A real S3 server on this machine, and what tests ask of it besides what the project does."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tiktok_virality.storage import ObjectPath, place_at

KEY, SECRET = "planted-key-id-7f3a", "planted-secret-9b1c"


@dataclass(frozen=True)
class Bucket:
    """A bucket of a server of the test's own."""

    endpoint: str
    name: str
    cache: Path

    @property
    def address(self) -> str:
        return f"s3://{self.name}/corpus"

    @property
    def credentials(self) -> dict[str, Any]:
        return {
            "key": KEY,
            "secret": SECRET,
            "endpoint": self.endpoint,
            "folder": str(self.cache),
        }

    @property
    def place(self) -> ObjectPath:
        place = place_at(self.address, self.credentials)
        assert isinstance(place, ObjectPath)
        return place

    def on_another_machine(self, cache: Path) -> Bucket:
        return Bucket(self.endpoint, self.name, cache)

    def remove(self, place: ObjectPath) -> None:
        """Remove an object as somebody else would."""
        self.client.delete_object(Bucket=place.bucket, Key=place.key)

    def damage(self, place: ObjectPath, position: int) -> None:
        """Flip a bit of an object."""
        content = bytearray(place.read_bytes())
        content[position] ^= 1
        self.client.put_object(Bucket=place.bucket, Key=place.key, Body=bytes(content))

    @property
    def client(self) -> Any:
        return client_of(self.endpoint)

    def addresses(self) -> list[str]:
        return sorted(str(each) for each in self.place.rglob("*"))


def client_of(endpoint: str) -> Any:
    """Another client than the project's."""
    import boto3

    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
    )


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of a server that speaks S3, on this machine."""
    moto = pytest.importorskip("moto.server", reason="the extra `dev` is not installed")
    pytest.importorskip("obstore", reason="the extra `s3` is not installed")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_server: str, tmp_path: Path) -> Bucket:
    """An empty bucket."""
    name = f"clips-{uuid.uuid4().hex[:12]}"
    client_of(s3_server).create_bucket(Bucket=name)
    return Bucket(s3_server, name, tmp_path / "cache")
