"""How the registry talks to S3: one boto3 client, with bounded waits and retries."""

from __future__ import annotations

import functools
import ipaddress
import logging
import socket
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError

from zoo_registry.addresses import without_credentials
from zoo_registry.errors import StoreRefusedError
from zoo_registry.store.s3.errors import translate

_log = logging.getLogger(__name__)


def make_client(where: str) -> Any:
    """A boto3 S3 client.

    Credentials, region, ``AWS_ENDPOINT_URL`` and the checksum settings are boto3's own to find. An endpoint on another
    machine that is reached without TLS is warned of, once.

    Args:
        where: the store's address, for the message.

    Raises:
        StoreRefusedError: the AWS settings cannot be used, such as a profile that does not exist.
    """
    import boto3
    from botocore.config import Config

    config = Config(
        retries={"mode": "standard", "total_max_attempts": 5},
        connect_timeout=5,
        read_timeout=30,
        max_pool_connections=16,
        user_agent_extra="kdzoo",
    )
    try:
        client = boto3.session.Session().client("s3", config=config)
    except (BotoCoreError, ValueError) as error:
        if isinstance(error, BotoCoreError):
            raise translate(error, "open", where) from error
        raise StoreRefusedError(f"cannot open {where}: {error}", hint="check AWS_ENDPOINT_URL") from error
    endpoint = str(client.meta.endpoint_url)
    if is_open(endpoint):
        _warn(without_credentials(endpoint))
    return client


def is_open(endpoint: str) -> bool:
    """Whether others can read, and change, what goes to a server: plain HTTP to another machine."""
    parts = urlsplit(endpoint)
    host = (parts.hostname or "").rstrip(".")
    if parts.scheme != "http" or host == "localhost" or host.endswith(".localhost"):
        return False
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host != socket.gethostname().lower()


@functools.cache  # a process opens a zoo several times, and says this once
def _warn(endpoint: str) -> None:
    _log.warning(
        "%s is reached over plain http: whoever is on the way can read what is sent, and change it; use https", endpoint
    )
