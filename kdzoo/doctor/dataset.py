"""Is the data set on this machine, and whole?"""

from __future__ import annotations

from kdzoo.data.catalog import CATALOG, Dataset, open_dataset
from kdzoo.doctor.finding import Asked, Finding
from kdzoo.settings import Settings


def check(asked: Asked, settings: Settings) -> list[Finding]:
    """Reads the index of every category; opens no image.

    Raises:
        DatasetError: it is not there, or not in its layout.
        UsageError: there is no such data set.
    """
    dataset = opened(asked, settings)
    if dataset is None:
        if asked.dataset is None:
            return []
        return [Finding(check="data set", state="ok", what="demo is made by formula at its first use")]
    categories = dataset.categories()
    images = sum(len(dataset.category(name).samples) for name in categories)
    found = f"{dataset.name} in {dataset.root}: {len(categories)} categories, {images:,} images"
    missing = dataset.missing()
    if not missing:
        return [Finding(check="data set", state="ok", what=found)]
    hint = f"leave them out with --categories, or see: kdzoo data show {dataset.name}"
    return [Finding(check="data set", state="warn", what=f"{found}; missing: {', '.join(missing)}", hint=hint)]


def opened(asked: Asked, settings: Settings) -> Dataset | None:
    """The data set that was asked for; None for none, and for a demo that is not made yet: looking makes nothing.

    Raises:
        KdzooError: it cannot be opened.
    """
    demo = settings.data / "demo"
    if asked.dataset is None or (asked.dataset == "demo" and not demo.is_dir()):
        return None
    if asked.dataset == "demo":
        return Dataset(info=CATALOG["demo"], root=demo)
    return open_dataset(asked.dataset, settings)
