"""The JSON schemas that other programs read: what the zoo writes is valid by them, and they ship with the package."""

import json
import re
from importlib import resources

import pytest
from helpers.trials import small_trial
from helpers.zoos import ENTRY, publish
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from kdzoo.training.outcome import conclude
from zoo_registry import EntryName, Manifest, Registry
from zoo_registry.errors import ManifestInvalidError, RegistryError
from zoo_registry.format.alias import Move
from zoo_registry.format.identity import Identity
from zoo_registry.format.signing import Signature, SigningKey
from zoo_registry.format.withdrawals import Withdrawals
from zoo_registry.zoo.aliasing import Reason

KINDS = ("manifest", "alias", "signed alias", "signature", "detector", "zoo", "withdrawals")
VERSIONS = {"signature": 2, "signed alias": 2}
"""Those that are not 1."""


def named(kind: str) -> str:
    return kind.removeprefix("signed ")


def validator(kind: str) -> Draft202012Validator:
    file = resources.files("zoo_registry.format") / "schemas" / f"kdzoo-{named(kind)}-{VERSIONS.get(kind, 1)}.json"
    return Draft202012Validator(json.loads(file.read_text()))


def wrong(kind: str, document: object) -> list[str]:
    return [f"{list(error.path)}: {error.message}" for error in validator(kind).iter_errors(document)]


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    """What a real trial says of itself."""
    trainer = small_trial(tmp_path_factory.mktemp("trial"), "rd", epochs=1)
    trainer.step()
    return conclude(trainer).document


@pytest.fixture(scope="module")
def zoo(tmp_path_factory, document):
    folder = tmp_path_factory.mktemp("zoo") / "zoo"
    publish(folder, "one")
    registry = Registry.open(folder, cache=folder.parent / "cache")
    registry.publish("rd/toy/bottle", {**document, "sweep": "rd-toy"}, {}, message="by hand")
    registry.signatures.add(registry.resolve(ENTRY), SigningKey.generate())
    registry.set_alias(ENTRY, "line-3", 1, reason=Reason(why="on trial"))
    registry.alias_log.delete(ENTRY, "line-3")
    key = SigningKey.generate()
    registry.signatures.sign_by(lambda: key)
    registry.publish("rd/toy/cable", {}, {}, alias=None)
    registry.set_alias("rd/toy/cable", "champion", 1, reason=Reason(expires="2099-01-02T03:04:05Z"))
    registry.withdrawn.change(EntryName.parse("rd/toy/cable"), 1, why="mislabelled")
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_the_schemas_are_valid_and_say_what_they_are_for(kind):
    schema = validator(kind).schema
    Draft202012Validator.check_schema(schema)
    assert schema["properties"]["schema"]["const"] == f"kdzoo-{named(kind)}/{VERSIONS.get(kind, 1)}"
    assert schema["$id"] == f"kdzoo-{named(kind)}-{VERSIONS.get(kind, 1)}.json" and len(schema["description"]) > 40


@pytest.mark.parametrize(
    ("kind", "pattern", "count"),
    [
        ("manifest", "releases/*.json", 3),
        ("alias", "aliases/*.json", 3),
        ("alias", "history/*/*.json", 4),
        ("signed alias", "aliases/*.json", 1),
        ("signed alias", "history/*/*.json", 1),
        ("signature", "signatures/*/*/*.json", 2),
        ("withdrawals", "withdrawn.json", 1),
        ("zoo", "zoo.json", 1),
    ],
)
def test_whatever_the_zoo_writes_is_valid(zoo, kind, pattern, count):
    files = [zoo / "zoo.json"] if kind == "zoo" else list(zoo.glob(f"entries/*/*/*/{pattern}"))
    if named(kind) == "alias":
        files = [file for file in files if ("cable" in str(file)) == (kind == "signed alias")]
    assert len(files) == count
    assert [wrong(kind, json.loads(file.read_bytes())) for file in files] == [[]] * count


def test_a_signature_that_names_no_zoo_is_as_older_versions_wrote_it():
    file = resources.files("zoo_registry.format") / "schemas" / "kdzoo-signature-1.json"
    made = json.loads(SigningKey.generate().sign(b"manifest").to_bytes())
    assert list(Draft202012Validator(json.loads(file.read_text())).iter_errors(made)) == []
    assert wrong("signature", made) != []


def test_the_document_of_a_real_detector_is_valid(zoo):
    assert wrong("detector", Registry.open(zoo, cache=zoo.parent / "cache").resolve("rd/toy/bottle").document) == []


@pytest.mark.parametrize(
    "key",
    [
        "method",
        "config",
        "teacher.sha256",
        "input.size",
        "input.mean",
        "calibration.threshold",
        "metrics",
        "protocol",
        "split.digest",
        "split.seed",
        "dataset.fingerprint",
        "dataset.licence",
        "software.torch",
        "software.kdzoo",
        "cost.gpu_seconds",
    ],
)
def test_what_the_design_asks_of_a_manifest_is_there_and_required(document, key):
    made = json.loads(json.dumps(document))
    *above, last = key.split(".")
    place = made
    for part in above:
        place = place[part]
    del place[last]
    assert any(f"'{last}' is a required property" in text for text in wrong("detector", made))


def anything() -> st.SearchStrategy:
    plain = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=5)
    odd = st.sampled_from(["A" * 64, "a" * 63, "a" * 64, -1, 0, 2**53 + 1, "../x", "a/b", "a/b/c", "con", "x" * 65, ""])
    return plain | odd | st.lists(plain, max_size=2) | st.dictionaries(st.text(max_size=4), plain, max_size=2)


def paths(value: object, path: tuple = ()) -> list[tuple]:
    found = [path] if path else []
    if isinstance(value, dict):
        for key, below in value.items():
            found += paths(below, (*path, key))
    return found


def changed(made: dict, draw) -> dict:
    """One thing of a file changed: a value replaced, a key taken away, or one added."""
    made = json.loads(json.dumps(made))
    path = draw.draw(st.sampled_from(paths(made)))
    place = made
    for part in path[:-1]:
        place = place[part]
    match draw.draw(st.sampled_from(["replace", "remove", "add", "rename"])):
        case "replace":
            place[path[-1]] = draw.draw(anything())
        case "remove":
            del place[path[-1]]
        case "add":
            place[draw.draw(st.text(max_size=6))] = draw.draw(anything())
        case "rename":
            place[path[-1] + draw.draw(st.sampled_from(["x", " ", "\n", "S"]))] = place.pop(path[-1])
    return made


@pytest.mark.parametrize(
    ("kind", "pattern", "parse"),
    [
        ("manifest", "releases/000001.json", Manifest.parse),
        ("alias", "aliases/champion.json", Move.parse),
        ("signed alias", "aliases/champion.json", Move.parse),
        ("withdrawals", "withdrawn.json", Withdrawals.parse),
        ("signature", "signatures/*/*/*.json", Signature.parse),
        ("zoo", "zoo.json", Identity.parse),
    ],
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(draw=st.data())
def test_a_changed_file_ends_in_a_registry_error_or_is_valid_by_its_schema(zoo, kind, pattern, parse, draw):
    entry = "rd/toy/cable" if kind in ("signed alias", "withdrawals") else ENTRY
    file = zoo / "zoo.json" if kind == "zoo" else next(zoo.glob(f"entries/{entry}/{pattern}"))
    made = json.loads(file.read_bytes())
    made.pop("document", None)
    made = changed(made, draw)
    if kind == "manifest":
        made["document"] = {"a": 1}
    try:
        parse(json.dumps(made, indent=2, sort_keys=True).encode() + b"\n")
    except RegistryError:
        return
    assert wrong(kind, made) == []


def test_withdrawals_with_a_signature_of_null_are_neither_signed_nor_unsigned(zoo):
    made = json.loads(next(zoo.rglob("withdrawn.json")).read_bytes()) | {"signature": None}
    assert wrong("withdrawals", made)
    with pytest.raises(ManifestInvalidError, match="signature is None, not an object"):
        Withdrawals.parse(json.dumps(made).encode())


@example(10**6 - 1)
@given(st.integers(2, 10**6 - 1))
@settings(max_examples=20, deadline=None)
def test_a_newer_version_is_named_with_what_to_do(number):
    for kind, parse in (
        ("manifest", Manifest.parse),
        ("signed alias", Move.parse),
        ("withdrawals", Withdrawals.parse),
        ("signature", Signature.parse),
        ("zoo", Identity.parse),
    ):
        own = VERSIONS.get(kind, 1)
        newer = max(number, own + 1)  # a version has six digits at most
        with pytest.raises(
            ManifestInvalidError, match=f"kdzoo-{named(kind)}/{newer}; this version reads kdzoo-{named(kind)}/{own}"
        ) as e:
            parse(json.dumps({"schema": f"kdzoo-{named(kind)}/{newer}", "new": True}).encode())
        assert "upgrade kdzoo" in e.value.hint


def test_a_manifest_of_a_gigabyte_is_refused_unread(tmp_path):
    publish(tmp_path / "zoo", "one")
    file = tmp_path / "zoo" / "entries" / ENTRY / "releases" / "000001.json"
    file.chmod(0o644)
    with file.open("r+b") as opened:
        opened.truncate(2**30)
    registry = Registry.open(tmp_path / "zoo", cache=tmp_path / "cache")
    with pytest.raises(ManifestInvalidError, match="release 1"):
        registry.resolve(ENTRY)


@given(st.integers(min_value=10**17), st.sampled_from(["release", "size"]))
@settings(max_examples=60, deadline=None)
def test_huge_numbers(zoo, number, key):
    text = next(zoo.glob(f"entries/{ENTRY}/releases/*.json")).read_text()
    for made in (str(number), f"-{number}", f"{number}e400", f"{number}.5", "9" * 5000):
        mutated = re.sub(rf'"{key}": \d+', f'"{key}": {made}', text)
        assert mutated != text
        with pytest.raises(ManifestInvalidError):
            Manifest.parse(mutated.encode())


def test_a_document_says_how_images_are_brought_to_the_square(tmp_path):
    trainer = small_trial(tmp_path, "rd", epochs=1, resize="pad")
    trainer.step()
    document = conclude(trainer).document
    assert wrong("detector", document) == []
    assert document["input"]["resize"] == "bilinear-antialiased-padded" and document["dataset"]["padding"]["share"] > 0
    odd = document | {"input": document["input"] | {"resize": "bicubic"}}
    assert [error.split(":")[0] for error in wrong("detector", odd)] == ["['input', 'resize']"]


def test_a_document_says_how_images_are_cut(tmp_path):
    trainer = small_trial(tmp_path, "rd", epochs=1, resize="tile", overlap=16)
    trainer.step()
    document = conclude(trainer).document
    assert wrong("detector", document) == []
    # The toy's images are smaller than a tile.
    assert document["dataset"]["tiles"] == {"train": 4, "mean": 1.0}
    odd = document | {"input": document["input"] | {"overlap": -1, "scale": 0}}
    assert sorted(error.split(":")[0] for error in wrong("detector", odd)) == [
        "['input', 'overlap']",
        "['input', 'scale']",
    ]
