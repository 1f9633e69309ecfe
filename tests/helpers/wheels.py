"""Wheels of made-up packages, and a folder that pip takes for all the index there is."""

import zipfile
from pathlib import Path


def write_wheel(
    folder: Path, files: dict[str, bytes | str], *, name: str, version: str, needs: tuple[str, ...] = ()
) -> Path:
    """A wheel that holds these files; returns it."""
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += "".join(f"Requires-Dist: {other}\n" for other in needs)
    path, info = folder / f"{name}-{version}-py3-none-any.whl", f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for member, content in files.items():
            wheel.writestr(member, content)
        wheel.writestr(f"{info}/METADATA", metadata)
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path


def only_index(folder: Path, monkeypatch) -> Path:
    """Makes pip look into a folder of wheels and nowhere else; returns the folder."""
    folder.mkdir()
    for name, value in {"CONFIG_FILE": "/dev/null", "NO_INDEX": "1", "FIND_LINKS": str(folder)}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    return folder
