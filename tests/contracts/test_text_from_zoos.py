"""What strangers wrote in a zoo's manifests and teachers' cards is shown as text, by every command that shows it."""

import json
import shutil

import pytest
from helpers.command import run
from helpers.hostile import CHUNKS, NAMES, TEXTS, has, raw, shown
from helpers.zoos import ENTRY, publish


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """A zoo of fifty entries whose documents hold all the texts wherever a document can, and files of such names."""
    folder = tmp_path_factory.mktemp("hostile") / "zoo"
    for number, text in enumerate(CHUNKS):
        entry = f"rd/demo/part{number}"
        publish(folder, f"bytes {number}", entry=entry)
        fill(folder / f"entries/{entry}/releases/000001.json", text)
    for name in NAMES[:500]:
        (folder / name).write_text("x")
    for name in NAMES[500:]:
        (folder / "entries" / name).mkdir()
    return folder


def fill(manifest, text):
    """Puts a text wherever a stranger's manifest may hold one."""
    told = json.loads(manifest.read_bytes())
    told["message"] = text[:100]
    told["document"] = {
        "protocol": text,
        "metrics": {"test_image_auroc": 0.5, f"test_{text}": 1.0, "val_aupro": text},
        "undefined": {text: text},
        "objective": {"name": text, "value": text},
        "dataset": {"name": text, "category": text, "licence": text, "fingerprint": text, "skipped": [text]},
        "split": {"seed": text, "digest": text, "notes": [text]},
        "teacher": {"name": text, "source": text, "sha256": text, "licence": text},
        "input": {"size": text, "mean": [text], "std": [text], "resize": text},
        "calibration": {"threshold": text, "pixel_threshold": text, "false_positive_rate": text},
        "epochs": {"best": text, "trained": text, "planned": text},
        "cost": {"seconds": text, "device": text},
        "mlflow": {"experiment": text, "run": text},
        "method": text,
        "sweep": text,
        **{part: {text: text, "list": [text], "table": {text: text}} for part in ("config", "options", "software")},
    }
    manifest.write_text(json.dumps(told))


class TestZoo:
    def test_list(self, zoo, capsys):
        ran = shown(capsys, "zoo", "list", "--zoo", zoo)
        assert has(ran.out, *(f"part{number}" for number in range(50))) == []
        rows = json.loads(shown(capsys, "zoo", "list", "--zoo", zoo, "--json").out)
        assert [row["protocol"] for row in sorted(rows, key=lambda row: int(row["entry"][12:]))] == CHUNKS

    def test_show(self, zoo, capsys):
        for number, text in enumerate(CHUNKS):
            ran = shown(capsys, "zoo", "show", f"rd/demo/part{number}", "--zoo", zoo)
            assert has(ran.out, *TEXTS[20 * number : 20 * number + 20]) == []
            as_json = run(capsys, "zoo", "show", f"rd/demo/part{number}", "--zoo", zoo, "--json").out
            assert json.loads(as_json)["document"]["method"] == text

    def test_a_terminal_gets_the_manifest_without_what_would_steer_it(self, zoo, capsys, monkeypatch):
        path = zoo / "entries/rd/demo/part0/releases/000001.json"
        kept = path.read_bytes()
        path.write_text(json.dumps({**json.loads(kept), "message": "\u202e\u3164"}, ensure_ascii=False))
        try:
            piped = run(capsys, "zoo", "show", "rd/demo/part0", "--zoo", zoo, "--json").out
            assert piped.encode() == path.read_bytes()
            monkeypatch.setattr("sys.stdout.isatty", lambda: True)
            ran = shown(capsys, "zoo", "show", "rd/demo/part0", "--zoo", zoo, "--json")
            assert "\\u202e\\u3164" in ran.out
        finally:
            path.write_bytes(kept)

    def test_history_and_aliases(self, zoo, tmp_path, capsys):
        own = tmp_path / "own"
        publish(own, "one")
        kept = []
        for text in TEXTS[::20]:
            given = text.replace("\x00", "\x01")
            told = ("--why", given, "--who", given, "--zoo", own)
            ran = shown(capsys, "zoo", "alias", ENTRY, "staging", "1", *told, status=(0, 1))
            if ran.status:
                assert raw(given) and "not one line of plain text" in ran.err
            else:
                kept.append(given)
        ran = shown(capsys, "zoo", "history", ENTRY, "--zoo", own)
        assert 5 < len(kept) < 45 and has(ran.out, *kept) == []
        shown(capsys, "zoo", "alias", ENTRY, "--zoo", own)
        path = own / f"entries/{ENTRY}/aliases/staging.json"
        told = json.loads(path.read_bytes())
        for text in TEXTS:
            path.write_text(json.dumps({**told, "who": text, "why": text, "action": text}))
            shown(capsys, "zoo", "alias", ENTRY, "staging", "--zoo", own, status=(1,))

    def test_fsck_gc_copy_and_verify(self, zoo, tmp_path, capsys):
        told = json.loads(shown(capsys, "zoo", "fsck", "--zoo", zoo, "--json").out)
        assert len(told["findings"]) >= 500
        shown(capsys, "zoo", "fsck", "--zoo", zoo)
        shown(capsys, "zoo", "gc", "--dry-run", "--zoo", zoo)
        shown(capsys, "zoo", "copy", zoo, tmp_path / "target", "--all", "--dry-run")
        assert run(capsys, "zoo", "keygen", tmp_path / "key").status == 0
        for number in range(50):
            told = ("--public-key", tmp_path / "key.pub", "--zoo", zoo)
            ran = shown(capsys, "zoo", "verify", f"rd/demo/part{number}", *told, status=(1,))
            assert "sign" in ran.out + ran.err


class TestTeachers:
    @pytest.fixture
    def teachers(self, zoo):
        """Cards that hold all the texts, in the zoo."""
        folder = zoo / "teachers"
        folder.mkdir(exist_ok=True)
        for number, text in enumerate(CHUNKS):
            card = {
                "schema": "kdzoo-teacher/1",
                "name": f"t{number}",
                "architecture": text[:200],
                "sha256": "ab" * 32,
                "mean": [0.5] * 3,
                "std": [0.5] * 3,
                "licence": text[:200],
                "size": 5,
                text: text,
                "recipe": {text: [text]},
            }
            (folder / f"t{number}.json").write_text(json.dumps(card))
        yield zoo
        shutil.rmtree(folder)

    def test_list_and_show(self, teachers, capsys):
        ran = shown(capsys, "teacher", "list", "--zoo", teachers)
        assert has(ran.out, "t0", "t49") == []
        rows = json.loads(shown(capsys, "teacher", "list", "--zoo", teachers, "--json").out)
        assert {row["architecture"] for row in rows} >= {text[:200] for text in CHUNKS}
        for number in range(0, 50, 5):
            ran = shown(capsys, "teacher", "show", f"t{number}", "--zoo", teachers, status=(2,))
            assert "unknown teacher" in ran.err

    def test_a_card_of_a_backbone_that_there_is_shows_every_text(self, teachers, capsys):
        for number in range(10):
            text = " ".join(CHUNKS[5 * number : 5 * number + 5])
            path = teachers / f"teachers/t{number}.json"
            card = json.loads(path.read_bytes())
            path.write_text(json.dumps({**card, "architecture": "resnet18", text: text, "recipe": {text: [text]}}))
            ran = shown(capsys, "teacher", "show", f"t{number}", "--zoo", teachers)
            assert has(ran.out, text) == []
