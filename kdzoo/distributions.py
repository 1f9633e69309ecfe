"""Which of the two distributions of kdzoo is installed: all of it, or what judges alone.

They share files, so that only one can be installed: of two the first to be uninstalled takes files of the other along.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from typing import Final

from kdzoo.errors import ConfigError

WHOLE: Final = "kdzoo"
INFER: Final = "kdzoo-infer"
_SWEEPS: Final = frozenset({"ray", "mlflow", "optuna", "sqlalchemy", "alembic"})
_S3: Final = frozenset({"boto3", "botocore"})


def installed() -> tuple[str, ...]:
    """The names of those that are installed; none of a checkout that was put on the path."""
    return tuple(name for name in (WHOLE, INFER) if _is_there(name))


def check_one() -> None:
    """Refuses both at once.

    Raises:
        ConfigError: both are installed.
    """
    if len(installed()) > 1:
        raise ConfigError(
            f"{WHOLE} and {INFER} are both installed, and hold the same files",
            hint=f"keep one: pip uninstall -y {INFER} {WHOLE} && pip install {WHOLE}",
        )


def bringing(module: str) -> str:
    """The command that brings a module that is not installed.

    Args:
        module: its name, also that of a part of it.
    """
    name = module.partition(".")[0]
    judges_alone = installed() == (INFER,)
    if judges_alone and name in _SWEEPS:
        return f"{INFER} loads and judges, and does not sweep: pip uninstall -y {INFER} && pip install {WHOLE}"
    if judges_alone and name in _S3:
        return f"pip install '{INFER}[s3]'"
    return f"pip install {'boto3' if name in _S3 else name}"


def _is_there(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True
