"""What opens other systems stays with the driver: workers need none of it, and Ray writes down what they are given.

Ray Tune copies the keys of S3 from the driver's environment into the environment of each trial's actor, and Ray writes
that into logs which everybody on the machine may read, and shows it in its dashboard. A Ray that is started here gives
its workers the whole environment of the driver.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

S3_KEYS: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")
DRIVERS_ALONE: Final = (
    *S3_KEYS,
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "KDZOO_SIGNING_PASSPHRASE",
    "MLFLOW_TRACKING_URI",
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
)
"""What a Ray that is started here is not to hand on to its workers; an address may hold a password."""


@contextmanager
def hidden(names: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """Takes variables out of the process's environment for the block, and gives those that were there.

    They are put back however the block ends, unless somebody set them anew meanwhile.
    """
    taken = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield taken
    finally:
        for name, value in taken.items():
            os.environ.setdefault(name, value)


@contextmanager
def s3_keys_kept() -> Iterator[None]:
    """Keeps the keys of S3 out of the environment for the block, and at hand for whoever asks boto3 in this process.

    The zoo's client has its credentials already: it is made before. Others, such as MLflow's for pictures in a bucket,
    are made on the way by ``boto3.client``: they find the same keys in boto3's default session. Profiles and roles,
    which boto3 renews by itself, are not touched: no variable holds their keys.
    """
    held = _credentials() if any(name in os.environ for name in S3_KEYS) else None
    with hidden(S3_KEYS):
        if held is None:
            yield
            return
        import boto3

        before = boto3.DEFAULT_SESSION
        boto3.setup_default_session(
            aws_access_key_id=held.access_key, aws_secret_access_key=held.secret_key, aws_session_token=held.token
        )
        try:
            yield
        finally:
            boto3.DEFAULT_SESSION = before


def _credentials() -> Any:
    """The keys that boto3 finds in the environment, as they are now; None where it finds none that it can use."""
    import boto3
    from botocore.exceptions import BotoCoreError

    try:
        found = boto3.session.Session().get_credentials()
        return None if found is None or found.method != "env" else found.get_frozen_credentials()
    except (BotoCoreError, RuntimeError):  # half a pair, no such profile, or expired: whoever uses them says so
        return None
