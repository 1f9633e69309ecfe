"""What boto3 raises, in the registry's words: what is wrong with the bucket, the credentials or the network."""

from __future__ import annotations

from botocore import exceptions as boto

from zoo_registry.addresses import without_credentials
from zoo_registry.errors import RegistryError, StoreLacksError, StoreRefusedError, StoreUnavailableError
from zoo_registry.store.s3.answers import NotS3Error

ABSENT = frozenset({"NoSuchKey", "NotFound", "404"})

_WORDS = 300
"""Characters of a server's message that are shown."""
_BUCKET = frozenset({"NoSuchBucket"})
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
_CREDENTIALS = frozenset({"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "TokenRefreshRequired"})
_CLOCK = frozenset({"RequestTimeTooSkewed"})
_REGION = frozenset({"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301"})
_NO_CREDENTIALS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.TokenRetrievalError,
    boto.SSOError,
    boto.ProfileNotFound,
)


def status(error: boto.ClientError) -> int:
    """The HTTP status of a refusal; 0 when there was none."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def code(error: boto.ClientError) -> str:
    """The S3 code of a refusal, such as ``NoSuchBucket``."""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_alike(error: boto.ClientError, other: boto.ClientError) -> bool:
    """Whether two refusals are for the same reason, as far as their codes say."""
    return (status(error), code(error)) == (status(other), code(other))


def is_failure(error: Exception) -> bool:
    """Whether the server answered that it failed (500), which leaves open what it did."""
    return isinstance(error, boto.ClientError) and status(error) == 500


def translate(error: boto.BotoCoreError | boto.ClientError, action: str, where: str) -> RegistryError:
    """The registry's error for what boto3 raised.

    Args:
        error: a `ClientError` (the server refused) or `BotoCoreError` (it was not reached, or not understood).
        action: what was tried, such as ``"read"``.
        where: the object's address.

    Returns:
        A `StoreRefusedError` when trying again is of no use, a `StoreUnavailableError` when it may be.
    """
    if isinstance(error, boto.ClientError):
        return _refusal(error, action, where)
    if isinstance(error, NotS3Error):
        return StoreUnavailableError(
            f"cannot {action} {where}: {error}",
            hint="check AWS_ENDPOINT_URL. A proxy's or a network's sign-in page may be in between: a browser shows it",
        )
    if isinstance(error, _NO_CREDENTIALS):
        return StoreRefusedError(
            f"cannot {action} {where}: no usable AWS credentials ({error})",
            hint="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run `aws configure`",
        )
    if isinstance(error, boto.ParamValidationError | boto.InvalidConfigError | boto.ConfigParseError):
        return StoreRefusedError(f"cannot {action} {where}: {error}", hint="check the zoo's address and AWS settings")
    return StoreUnavailableError(
        f"cannot {action} {where}: {error}", hint="check the network and AWS_ENDPOINT_URL, then try again"
    )


def _refusal(error: boto.ClientError, action: str, where: str) -> RegistryError:
    name, number = code(error), status(error)
    said = f"{name or 'error'} (HTTP {number})" if number else name or str(error)
    # In the server's own words, too: what its code alone leaves open often stands there.
    words = " ".join(without_credentials(str(error.response.get("Error", {}).get("Message", ""))).split())[:_WORDS]
    message = f"cannot {action} {where}: {said}" + (f": {words}" if words and words != name else "")
    if "checksum" in words.lower() and number < 500:
        return StoreRefusedError(
            message, hint="a server that refuses checksums takes AWS_REQUEST_CHECKSUM_CALCULATION=when_required"
        )
    if name in _BUCKET:
        return StoreRefusedError(
            f"cannot {action} {where}: there is no such bucket", hint="create it, or check its name"
        )
    if name in _EXPIRED:
        return StoreRefusedError(message, hint="the credentials have expired; log in again")
    if name in _CREDENTIALS:
        return StoreRefusedError(message, hint="the server does not know these credentials; check them and AWS_PROFILE")
    if name in _CLOCK:
        return StoreRefusedError(message, hint="set this machine's clock")
    if name in _REGION:
        return StoreRefusedError(message, hint="the bucket is in another region; set AWS_REGION to it")
    if number in (401, 403):
        return StoreRefusedError(
            message, hint="no right to; reading takes s3:GetObject and s3:ListBucket, publishing s3:PutObject"
        )
    if (number >= 500 and number != 501) or number in (408, 429) or name == "SlowDown":
        return StoreUnavailableError(message, hint="the store is busy or broken; try again later")
    if number == 501:
        return StoreLacksError(message, hint="this store lacks a function that the zoo needs; use another store")
    return StoreRefusedError(message, hint="check the zoo's address and the rights of these credentials")
