"""Which registered model shows a zoo's entry: the plain name is the first zoo's, all others' have an id in theirs.

Several zoos may be shown by one MLflow: production and staging, a zoo and its copy. Each has models, versions and an
alias of its own, so that a promotion in one moves nothing of another.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from kdzoo.tracking.notes import model_note
from kdzoo.tracking.pages import all_pages
from kdzoo.tracking.reference import ReleaseRef, model_name

ZOO: Final = "kdzoo.zoo"
"""Tag of a version, and of a model: the zoo's address."""
ZOO_ID: Final = "kdzoo.zoo_id"
"""Tag of a version, and of a model: the zoo's id."""


class ModelNames:
    """Finds the model of an entry, or makes it.

    Args:
        client: MLflow's.
        ask: calls it, and turns what it raises into errors of ours.
    """

    def __init__(self, client: MlflowClient, ask: Callable[[Callable[[], Any]], Any]) -> None:
        self._client, self._ask = client, ask

    def find(self, entry: str, zoo: str, zoo_id: str) -> str | None:
        """The model of a zoo's entry; None where there is none yet.

        Args:
            entry: ``method/dataset/category``.
            zoo: the zoo's address, without credentials.
            zoo_id: its id; empty where it is not known.
        """
        there = self._named(entry)
        apart, plain = model_name(entry, zoo_id or zoo), model_name(entry)
        if apart in there:
            return apart
        return plain if plain in there and self._is_of(there[plain], zoo, zoo_id) else None

    def claim(self, ref: ReleaseRef) -> str:
        """The model that a release belongs to, made if it is not there.

        Raises:
            TrackingError: MLflow cannot be reached.
        """
        known = self.find(ref.entry, ref.zoo, ref.zoo_id)
        if known is not None:
            self._say_whose(known, ref)
            return known
        plain, apart = model_name(ref.entry), model_name(ref.entry, ref.zoo_id or ref.zoo)
        if plain not in self._named(ref.entry) and self._made(plain, ref):
            return plain
        # Another zoo's, or made by another process in between: asked once more.
        known = self.find(ref.entry, ref.zoo, ref.zoo_id)
        if known is not None:
            return known
        self._made(apart, ref)
        return apart

    def _named(self, entry: str) -> dict[str, Any]:
        """The models of an entry, of whichever zoo, by name."""
        plain = model_name(entry)
        search = partial(self._client.search_registered_models, f"name LIKE '{plain}%'", max_results=100)
        found = self._ask(lambda: list(all_pages(lambda token: search(page_token=token))))
        return {one.name: one for one in found if one.name == plain or one.name.startswith(f"{plain}.")}

    def _is_of(self, model: Any, zoo: str, zoo_id: str) -> bool:
        """Whether a model of the plain name is a zoo's; one of an earlier kdzoo is the zoo's of its first version."""
        owner = model.tags.get(ZOO_ID)
        if owner and zoo_id:
            return bool(owner == zoo_id)
        search = partial(self._client.search_model_versions, f"name = '{model.name}'", max_results=1000)
        versions = self._ask(lambda: list(all_pages(lambda token: search(page_token=token))))
        if not versions:
            return True
        first = min(versions, key=lambda version: int(version.version)).tags
        if zoo_id and first.get(ZOO_ID):
            return bool(first[ZOO_ID] == zoo_id)
        return bool(first.get(ZOO) == zoo)

    def _say_whose(self, name: str, ref: ReleaseRef) -> None:
        """Writes the owner into a model of an earlier kdzoo, and where the zoo is into one whose zoo was moved."""
        model = self._ask(lambda: self._client.get_registered_model(name))
        if ref.zoo_id and not model.tags.get(ZOO_ID):
            self._ask(lambda: self._client.set_registered_model_tag(name, ZOO_ID, ref.zoo_id))
        if model.tags.get(ZOO) != ref.zoo:
            self._ask(lambda: self._client.set_registered_model_tag(name, ZOO, ref.zoo))
            self._ask(lambda: self._client.update_registered_model(name, model_note(ref, name)))

    def _made(self, name: str, ref: ReleaseRef) -> bool:
        """Makes a model; False where there is one of that name."""
        method, dataset, category = ref.entry.split("/")
        said = {"entry": ref.entry, "method": method, "dataset": dataset, "category": category, "zoo": ref.zoo}
        tags = {f"kdzoo.{key}": value for key, value in said.items()} | ({ZOO_ID: ref.zoo_id} if ref.zoo_id else {})

        def make() -> bool:
            try:
                self._client.create_registered_model(name, tags, model_note(ref, name))
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                return False
            return True

        return bool(self._ask(make))
