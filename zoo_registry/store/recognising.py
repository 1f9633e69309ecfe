"""Tells a zoo from a wrong address."""

from __future__ import annotations

from zoo_registry.errors import ZooNotFoundError
from zoo_registry.format.layout import OWN
from zoo_registry.store.protocol import Store


def check_is_zoo(store: Store) -> None:
    """Tells an empty zoo from a wrong address.

    Raises:
        ZooNotFoundError: there is no such folder, or it holds other things and nothing of a zoo. An empty bucket or
            prefix passes: S3 does not tell it from one that was never written.
    """
    names = store.top()
    if names is None:
        raise ZooNotFoundError(
            f"there is no zoo at {store.uri}",
            hint="check --zoo and KDZOO_ZOO; publishing makes one, for example: kdzoo sweep aand --dataset demo",
        )
    if names and not OWN & set(names):
        shown = ", ".join(ascii(name)[1:-1] for name in names[:3]) + (", ..." if len(names) > 3 else "")
        raise ZooNotFoundError(
            f"{store.uri} is not a zoo: it holds {shown} and no entries", hint="check --zoo and KDZOO_ZOO"
        )
