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

    Credentials, region, ``AWS_ENDPOINT_URL`` and the checksum settings are boto3's own to find. Keys of the environment
    are read now, and not again: the program may take them out of it. Those of a profile or a role are renewed as boto3
    does. An endpoint on another machine that is reached without TLS is warned of, once.

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
        session = boto3.session.Session()
        client = session.client("s3", config=config, **_keys_of_environment(session))
    except (BotoCoreError, ValueError) as error:
        if isinstance(error, BotoCoreError):
            raise translate(error, "open", where) from error
        raise StoreRefusedError(f"cannot open {where}: {error}", hint="check AWS_ENDPOINT_URL") from error
    endpoint = str(client.meta.endpoint_url)
    if is_open(endpoint):
        _warn(without_credentials(endpoint))
    return client


def _keys_of_environment(session: Any) -> dict[str, str | None]:
    """What a client is made with where the keys are variables; nothing where boto3 has them from elsewhere.

    With ``AWS_CREDENTIAL_EXPIRATION`` boto3 would read the variables again whenever that draws near.
    """
    held = session.get_credentials()
    if held is None or held.method != "env":
        return {}
    try:
        now = held.get_frozen_credentials()
    except RuntimeError as error:
        raise StoreRefusedError(
            "the keys in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY have expired, by AWS_CREDENTIAL_EXPIRATION",
            hint="set new ones",
        ) from error
    return {
        "aws_access_key_id": now.access_key,
        "aws_secret_access_key": now.secret_key,
        "aws_session_token": now.token,
    }


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
