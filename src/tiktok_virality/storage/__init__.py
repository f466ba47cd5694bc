"""Where data lie: a folder of a file system, or a bucket that speaks S3.

A place is a `pathlib.Path`, or an `ObjectPath`, which has those of its methods that are used here.
What opens files by name asks `near` for a copy on this machine; of a path that is the path itself,
so that nothing changes where data lie on a disk.
"""

from tiktok_virality.storage.near import (
    bring_near,
    forget_copies,
    made_for,
    near,
    near_folder,
    put_and_keep,
    remove_folder,
    trim_copies,
    working_folder,
)
from tiktok_virality.storage.objects import ObjectPath, ObjectStatus
from tiktok_virality.storage.places import (
    Place,
    below,
    is_object_address,
    listed,
    listed_below,
    place_at,
    rename,
)

__all__ = [
    "ObjectPath",
    "ObjectStatus",
    "Place",
    "below",
    "bring_near",
    "forget_copies",
    "is_object_address",
    "listed",
    "listed_below",
    "made_for",
    "near",
    "near_folder",
    "place_at",
    "put_and_keep",
    "remove_folder",
    "rename",
    "trim_copies",
    "working_folder",
]
