"""What is known of each archive before it is fetched: where it lies, its digest, its licence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Literal
from urllib.parse import urlsplit

from kdzoo.data.known_datasets import CATALOG
from kdzoo.data.texture_sets import TEXTURE_SETS
from kdzoo.errors import UnknownNameError, UsageError

DigestKind = Literal["sha256", "md5"]
Packing = Literal["tar", "tar.gz", "tar.xz", "zip", "whl"]
"""``whl`` is a wheel: a zip that the Python index has."""

_HEX_DIGITS = {"sha256": 64, "md5": 32}


@dataclass(frozen=True, kw_only=True, slots=True)
class Archive:
    """An archive that holds one data set.

    Most are fetched from their publisher's address. One that is a wheel of the Python index says its ``requirement``:
    pip brings it, with the site's own settings, and ``url`` is the page of its publisher.

    Raises:
        ValueError: the digest is not lower-case hexadecimal of its kind's length, the URL is not http or https or
            names no file, a wheel's file is not named, nothing is said of what the archive holds, or a size is not
            positive.
    """

    name: str
    """The data set's name, and its folder's."""
    title: str
    """For people."""
    url: str
    """Where its publisher keeps it; of a wheel, its publisher's page."""
    digest_kind: DigestKind
    """Which digest is known. md5 tells damage, but would not stop a forger."""
    digest: str
    """Of the archive, lower-case hexadecimal."""
    packing: Packing
    """How it is packed."""
    licence: str
    """Of the data, as its publisher states it."""
    homepage: str
    """Where a person reads about it and finds the archive by hand."""
    holds: tuple[str, ...]
    """What lies directly in the data set's folder: it tells that folder from one around it in the archive."""
    about_bytes: int | None = None
    """Rough size of the archive, bytes; None when only the server knows."""
    expansion: float = 1.1
    """Bytes unpacked for a byte packed, a guess for the check of the disk: photographs hardly compress."""
    requirement: str = ""
    """Of a wheel, as pip writes it: ``distribution==version``; empty for an archive that lies at ``url``."""
    wheel: str = ""
    """The wheel's own file name; empty likewise."""
    within: str = ""
    """The folder in the archive, ``/`` between its parts, that the data set's own is looked for in; empty: the top."""
    licence_member: str = ""
    """A licence in the archive that lies outside the data set's folder and is put into it; empty for none."""

    def __post_init__(self) -> None:
        if not re.fullmatch(rf"[0-9a-f]{{{_HEX_DIGITS[self.digest_kind]}}}", self.digest):
            raise ValueError(f"{self.name}: '{self.digest}' is no {self.digest_kind}")
        if urlsplit(self.url).scheme not in ("http", "https") or not self.file_name:
            raise ValueError(f"{self.name}: '{self.url}' is no http address of a file")
        if not bool(self.requirement) == bool(self.wheel) == (self.packing == "whl"):
            raise ValueError(f"{self.name}: a wheel, and nothing else, has a requirement and a file name of its own")
        if not self.holds:
            raise ValueError(f"{self.name}: say what the archive holds")
        if self.expansion <= 0 or (self.about_bytes is not None and self.about_bytes <= 0):
            raise ValueError(f"{self.name}: sizes must be positive")

    @property
    def file_name(self) -> str:
        """The archive's own file name: a wheel's, or the last part of its address."""
        return self.wheel or PurePosixPath(urlsplit(self.url).path).name


ARCHIVES: Mapping[str, Archive] = MappingProxyType(
    {
        "mvtec": Archive(
            name="mvtec",
            title=CATALOG["mvtec"].title,
            url="https://www.mydrive.ch/shares/150996/b52ecdcbf521176e9db9c731f2304b27/download/"
            "420938113-1629960298/mvtec_anomaly_detection.tar.xz",
            digest_kind="sha256",
            digest="cf4313b13603bec67abb49ca959488f7eedce2a9f7795ec54446c649ac98cd3d",
            packing="tar.xz",
            licence=CATALOG["mvtec"].licence,
            homepage=CATALOG["mvtec"].homepage,
            holds=("bottle", "zipper"),
        ),
        "visa": Archive(
            name="visa",
            title=CATALOG["visa"].title,
            url="https://amazon-visual-anomaly.s3.us-west-2.amazonaws.com/VisA_20220922.tar",
            digest_kind="sha256",
            digest="2eb8690c803ab37de0324772964100169ec8ba1fa3f7e94291c9ca673f40f362",
            packing="tar",
            licence=CATALOG["visa"].licence + "; others say CC BY-NC-SA 4.0",
            homepage=CATALOG["visa"].homepage,
            holds=("split_csv", "candle"),
        ),
        "mvtec3d": Archive(
            name="mvtec3d",
            title=CATALOG["mvtec3d"].title,
            url="https://www.mydrive.ch/shares/150646/25de33f1276dd418cd856f2f48a84cdb/download/"
            "428824485-1643299897/mvtec_3d_anomaly_detection.tar.xz",
            # An md5, though others take it for a sha256 and refuse every copy.
            digest_kind="md5",
            digest="d8bb2800fbf3ac88e798da6ae10dc819",
            packing="tar.xz",
            licence=CATALOG["mvtec3d"].licence,
            homepage=CATALOG["mvtec3d"].homepage,
            holds=("bagel", "tire"),
            expansion=2.0,  # its point clouds are plain floats, which do compress
        ),
        "ksdd2": Archive(
            name="ksdd2",
            title=CATALOG["ksdd2"].title,
            url="https://data.vicos.si/datasets/KSDD/KolektorSDD2.zip",
            digest_kind="md5",
            digest="1ed0f628122776ace4965afa30dfe316",
            packing="zip",
            licence=CATALOG["ksdd2"].licence,
            homepage=CATALOG["ksdd2"].homepage,
            holds=("train", "test"),
            about_bytes=853_000_000,
        ),
        "elpv": Archive(
            name="elpv",
            title=CATALOG["elpv"].title,
            url=CATALOG["elpv"].homepage,
            requirement="elpv-dataset==1.0.0.post1",
            wheel="elpv_dataset-1.0.0.post1-py3-none-any.whl",
            digest_kind="sha256",
            digest="85e31c1126ee9b48e62d3a0232c58f58b2d189b0814a45c13642fa0415af4a4c",
            packing="whl",
            licence=CATALOG["elpv"].licence,
            homepage=CATALOG["elpv"].homepage,
            holds=("images", "labels.csv"),
            about_bytes=90_801_454,
            within="elpv_dataset/data",
            licence_member="elpv_dataset-1.0.0.post1.dist-info/licenses/LICENSE.md",
        ),
        "dtd": Archive(
            name="dtd",
            title=TEXTURE_SETS["dtd"].title,
            url="https://www.robots.ox.ac.uk/~vgg/data/dtd/download/dtd-r1.0.1.tar.gz",
            digest_kind="sha256",
            digest="e42855a52a4950a3b59612834602aa253914755c95b0cff9ead6d07395f8e205",
            packing="tar.gz",
            licence=TEXTURE_SETS["dtd"].licence,
            homepage=TEXTURE_SETS["dtd"].homepage,
            holds=("images",),
        ),
    }
)
"""The archives known by their data set's name."""


def find_archive(name: str, archives: Mapping[str, Archive] | None = None) -> Archive:
    """The archive of a data set.

    Args:
        name: the data set's name.
        archives: where to look; default `ARCHIVES`.

    Raises:
        UnknownNameError: nothing is known of it.
        UsageError: the data set needs no archive.
    """
    if name == "demo":
        raise UsageError("the demo data set needs no download", hint="it is made at first use: --dataset demo")
    known = ARCHIVES if archives is None else archives
    if name not in known:
        raise UnknownNameError("downloadable data set", name, known)
    return known[name]


def address(archive: Archive, mirror: str | None) -> str:
    """Where to fetch an archive from.

    Args:
        archive: the archive.
        mirror: a folder on another server that holds it under its own file name; None for its publisher's.

    Raises:
        UsageError: the mirror is no plain http or https address. One with a password is refused too, and not repeated,
            because addresses are shown and recorded.
    """
    if mirror is None:
        return archive.url
    hint = "such as KDZOO_DATA_MIRROR=https://files.example.com/datasets"
    try:
        parts = urlsplit(mirror)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError("KDZOO_DATA_MIRROR is no address", hint=hint) from error
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise UsageError("KDZOO_DATA_MIRROR must hold no user, password, query or fragment", hint=hint)
    if parts.scheme not in ("http", "https") or not host or re.search(r"[\s\x00-\x1f]", mirror):
        raise UsageError(f"KDZOO_DATA_MIRROR={mirror!r} is no http or https address", hint=hint)
    return f"{mirror.rstrip('/')}/{archive.file_name}"
