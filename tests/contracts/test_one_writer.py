"""Files are written by `kdzoo.storage` and the registry's `files` alone: any other way in the product is found here."""

import ast
from pathlib import Path

import pytest

import kdzoo
import zoo_registry

PACKAGES = Path(kdzoo.__file__).parent, Path(zoo_registry.__file__).parent
WRITERS = {"kdzoo/storage.py", "zoo_registry/store/files.py"}

# Each with the reason why it may: nothing else writes, and what is listed must be there.
EXCEPTIONS = {
    ("kdzoo/training/checkpoint.py", "torch.save(dict(state), buffer)"): "into memory",
    ("kdzoo/pictures.py", "picture.save(buffer, format='PNG', optimize=True)"): "into memory",
    (
        "kdzoo/data/tables/take_up.py",
        "Image.fromarray(mask.astype(np.uint8) * 255).save(drawn, format='PNG')",
    ): "memory",
    ("kdzoo/data/demo/build.py", "picture.save(data, format='PNG', compress_level=6)"): "into memory",
    (
        "kdzoo/cli/one_run.py",
        "Detector(outcome.method, outcome.document, device=device).save(folder)",
    ): "by `write_file`",
    ("kdzoo/search/run/conclusion.py", "finished.save(folder)"): "by `write_file`",
    ("kdzoo/search/workers/trainable.py", "super().save(checkpoint_dir)"): "Ray's, which has `save_checkpoint` write",
    ("zoo_registry/store/s3/proving.py", "(Path(folder) / 'part').write_bytes(b'probe, in parts')"): "a scratch folder",
    ("kdzoo/data/download/unpack.py", "os.open(path, flags, 438)"): "new files of an archive, O_EXCL and O_NOFOLLOW",
    ("zoo_registry/store/s3/reading.py", "path.open('xb')"): "a new file: mode x follows no link",
    ("kdzoo/data/cache/array_file.py", "path.open('xb')"): "a new file: mode x follows no link",
    ("kdzoo/data/cache/features.py", "path.open('x', encoding='utf-8')"): "a new file: mode x follows no link",
    ("kdzoo/data/cache/entry.py", "path.open('x', encoding='utf-8')"): "a new file: mode x follows no link",
    (
        "kdzoo/data/download/install.py",
        "(root / RECORD).open('x', encoding='utf-8')",
    ): "a new file: mode x follows no link",
}

METHODS = {"write_text", "write_bytes", "touch", "save", "tofile", "savez", "savez_compressed", "savetxt", "to_csv"}
METHODS |= {
    "savefig",
    "copy2",
    "copyfile",
    "copytree",
    "FileHandler",
    "symlink_to",
    "symlink",
    "extractall",
}
# Where a file's name is the first argument, and the mode the second.
OPENERS = {"open", "io.open", "gzip.open", "bz2.open", "lzma.open", "tarfile.open", "zipfile.ZipFile", "ZipFile"}


def writes(call: ast.Call) -> bool:
    """Whether a call may write to a name."""
    called = ast.unparse(call.func)
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if name in METHODS or called in ("shutil.copy", "shutil.move", "copyfile", "copytree", "FileHandler"):
        return True
    if called == "os.open":
        flags = ast.unparse(call.args[1])
        return "O_RDONLY" not in flags and not ("O_NOFOLLOW" in flags and "O_CREAT" not in flags)
    if name != "open" and called not in OPENERS:
        return False
    place = 1 if called in OPENERS else 0
    modes = [each for each in call.args[place : place + 1] if place or isinstance(each, ast.Constant)]
    modes += [each.value for each in call.keywords if each.arg == "mode"]
    return any(not isinstance(mode, ast.Constant) or set(str(mode.value)) & set("wax+") for mode in modes)


def found(text: str) -> list[tuple[int, str]]:
    """Line and text of each call that may write."""
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    return [(call.lineno, ast.unparse(call)) for call in calls if writes(call)]


def test_nothing_writes_past_the_writers():
    seen, wrong = set(), []
    for package in PACKAGES:
        for path in sorted(package.rglob("*.py")):
            name = path.relative_to(package.parent).as_posix()
            for line, call in [] if name in WRITERS else found(path.read_text()):
                seen.add((name, call))
                if (name, call) not in EXCEPTIONS:
                    wrong.append(f"{name}:{line}: {call}")
    assert wrong == []
    assert {each for each in EXCEPTIONS if each not in seen} == set()


@pytest.mark.parametrize(
    "text",
    [
        "open(path, 'w')",
        "open(path, mode='ab')",
        "path.open('wb')",
        "open(path, how)",
        "path.open(mode=how)",
        "zipfile.ZipFile(path, 'w')",
        "path.open('r+b')",
        "path.write_text('x')",
        "path.write_bytes(b'x')",
        "path.touch()",
        "os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)",
        "shutil.copyfile(a, b)",
        "shutil.copy(a, b)",
        "picture.save(path)",
        "np.savez(path, a=1)",
        "logging.FileHandler(path)",
    ],
)
def test_the_rule_sees(text):
    assert found(text)


@pytest.mark.parametrize(
    "text",
    [
        "open(path)",
        "path.open('rb')",
        "open(path, 'r')",
        "copy(a, b)",
        "os.open(path, os.O_RDONLY | os.O_CLOEXEC)",
        "Image.open(file)",
    ],
)
def test_the_rule_passes(text):
    assert not found(text)
