"""How the registry talks to S3: one boto3 client, with bounded waits and retries."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import BotoCoreError

from zoo_registry.errors import StoreRefusedError
from zoo_registry.store.s3.errors import translate


def make_client(where: str) -> Any:
    """A boto3 S3 client.

    Credentials, region, ``AWS_ENDPOINT_URL`` and the checksum settings are boto3's own to find.

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
        return boto3.session.Session().client("s3", config=config)
    except (BotoCoreError, ValueError) as error:
        if isinstance(error, BotoCoreError):
            raise translate(error, "open", where) from error
        raise StoreRefusedError(f"cannot open {where}: {error}", hint="check AWS_ENDPOINT_URL") from error
