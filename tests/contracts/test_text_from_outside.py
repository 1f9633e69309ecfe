"""Names and documents of strangers through every command that lists or shows: no traceback, nothing raw."""

import ast
import json
import logging
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import click
import pytest
from helpers.hostile import CHUNKS, NAMES, TEXTS, has, raw, shown
from helpers.layouts import make_category, make_dataset
from helpers.sweeps import small_plan

import kdzoo.cli
from kdzoo.cli.main import cli
from kdzoo.cli.say import tell_error
from kdzoo.data.registered import register
from kdzoo.settings import Settings
from zoo_registry.addresses import without_credentials

# What trains, draws, moves, brings or opens; its messages go the same way, and a list of it would be no list.
DOES_NOT_LIST = {
    *("sweep run", "sweep stop", "submit run", "submit stop", "train", "predict", "calibrate", "evaluate", "ui"),
    *("zoo pull", "zoo pack", "zoo unpack", "zoo promote", "zoo rollback", "zoo sign", "zoo keygen", "mlflow sync"),
    *("teacher add", "teacher remove", "teacher push", "teacher pull", "teacher fetch", "teacher pretrain"),
    *("data download", "data preview", "zoo yank", "teacher sign", "retrain"),
}
# Its checks need a cluster and minutes; the table it ends in is drawn here.
LISTS_BY_ITS_TABLE = {"doctor"}


def leaves(group, before=()):
    """The names of all commands."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from leaves(command, (*before, name))
        else:
            yield " ".join((*before, name))


def run_here():
    """The commands that these tests run."""
    files = sorted(Path(__file__).parent.glob("test_text_from_*.py"))
    for node in (node for file in files for node in ast.walk(ast.parse(file.read_text()))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "shown":
            words = [each.value for each in node.args if isinstance(each, ast.Constant)]
            yield from (words[0], " ".join(words[:2]), " ".join(words[::2][:2]))


def test_every_command_is_run_here_or_named_as_one_that_lists_nothing():
    every = set(leaves(cli))
    assert len(every) > 40 and every >= DOES_NOT_LIST | LISTS_BY_ITS_TABLE
    assert every - DOES_NOT_LIST - LISTS_BY_ITS_TABLE <= set(run_here())
    assert not (DOES_NOT_LIST | LISTS_BY_ITS_TABLE) & set(run_here())


def test_no_command_builds_markup_or_prints_past_the_layer_of_plain_text():
    root, layer = Path(kdzoo.cli.__file__).parent, {"say.py", "tables.py", "sweep/live.py", "download_view.py"}
    wrong = []
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root).as_posix()
        for node in ast.walk(ast.parse(path.read_text())):
            imported = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [imported]
            if any(each == "rich.markup" for each in names):
                wrong.append((name, node.lineno, "markup"))
            if name not in layer and any(each.partition(".")[0] == "rich" for each in names):
                wrong.append((name, node.lineno, "rich"))
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            prints = called in ("click.echo", "click.secho", "print", "sys.stdout.write", "sys.stderr.write")
            if name != "say.py" and prints:
                wrong.append((name, node.lineno, called))
            if called == "Console" and not {"markup", "emoji"} <= {each.arg for each in node.keywords}:
                wrong.append((name, node.lineno, "a console that reads markup"))
    assert wrong == []


class TestData:
    def test_named_folders(self, tmp_path, capsys, monkeypatch):
        monkeypatch.setenv("KDZOO_DATA", str(tmp_path / "data"))
        settings = Settings.from_environment()
        for number in range(0, 1000, 20):
            place = tmp_path.joinpath(*NAMES[number : number + 20])
            make_category(place / "lid", train=1, good=1, defects={})
            register(f"own{number}", place, settings)
        ran = shown(capsys, "data", "list")
        assert has(ran.out, "own0", "own980") == []
        shown(capsys, "data", "list", "--json")

    def test_folders_and_files_of_such_names(self, tmp_path, capsys):
        for number in range(0, 1000, 100):
            category = tmp_path / f"set{number}" / NAMES[number]
            make_category(category, train=2, good=1, defects={})
            image = next((category / "train/good").iterdir())
            for name in NAMES[number : number + 100]:
                (category / "train/good" / f"{name}.png").write_bytes(b"no image")
                (category / "test" / f"d {name}").mkdir()
                shutil.copy(image, category / "test" / f"d {name}" / f"{name}.png")
            ran = shown(capsys, "data", "verify", tmp_path / f"set{number}", status=(1,))
            assert f"{NAMES[number].split()[0]} " in ran.out + ran.err and "problem" in ran.err
            shown(capsys, "data", "add", "own", tmp_path / f"set{number}")

    def test_a_picture_takes_any_name(self, tmp_path, capsys):
        for number in range(0, 1000, 50):
            category = make_category(tmp_path / f"set{number}" / "lid", train=1, good=1, defects={})
            image = next((category / "train/good").iterdir())
            for name in NAMES[number : number + 50]:
                folder = category / "test" / f"d {name}"
                folder.mkdir()
                shutil.copy(image, folder / f"{name}.png")
            place = tmp_path / f"set{number}"
            shown(capsys, "data", "show", place, "--out", tmp_path / "sheet.png", "--count", "50", "--image-size", "32")


def test_the_cache(tmp_path, capsys, monkeypatch):
    folder = tmp_path.joinpath(*NAMES[::100])
    monkeypatch.setenv("KDZOO_CACHE", str(folder))
    blobs = folder / "zoo/sha256/ab"
    blobs.mkdir(parents=True)
    (blobs / ("ab" * 32)).write_text("other bytes")
    for number, text in enumerate(TEXTS):
        entry = folder / "decoded" / f"e{number}"
        entry.mkdir(parents=True)
        (entry / "index.json").write_text(json.dumps({"name": text, "part": text, "count": 1, "size": 8}))
        (blobs / NAMES[number]).write_text("x")
    assert has(shown(capsys, "cache", "list").out, *TEXTS) == []
    shown(capsys, "cache", "list", "--json")
    shown(capsys, "cache", "clear", "--dry-run")
    assert has(shown(capsys, "cache", "verify", status=(1,)).out, *NAMES[::100]) == []


def test_sweeps(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("KDZOO_HOME", str(tmp_path))
    settings = Settings.from_environment()
    metrics = {"test_image_auroc": 0.5}
    for number, text in enumerate(CHUNKS):
        folder = settings.sweeps / f"night{number}"
        folder.mkdir(parents=True)
        plan = {"method": text, "dataset": text, "trials": 1, "spaces": {"lid": {}}, "created": 0.0}
        (folder / "plan.json").write_text(json.dumps({"schema": plan_schema(), **plan}))
        from kdzoo.search.record.folder import SweepFolder

        told = {"best": 0, "objective": 0.9, "metrics": metrics, "reason": text}
        published = {"release": 1, "promoted": True, "note": text}
        front = [{"number": text, "objectives": {text: 0.5}}]
        SweepFolder(folder).keep_outcome("lid", {**told, "published": published, "pareto": front})
    for name in NAMES:
        broken = settings.sweeps / name
        broken.mkdir()
        (broken / "plan.json").write_text("{")
    ran = shown(capsys, "sweep", "list")
    assert has(ran.err, *NAMES) == [] and has(ran.out, "night0", "night49") == []
    for number in range(50):
        shown(capsys, "sweep", "show", f"night{number}")
        shown(capsys, "sweep", "show", f"night{number}", "--json")
    for name in NAMES[::20]:
        shown(capsys, "sweep", "show", name, status=(1,))


def plan_schema():
    from kdzoo.search.record.plan_file import SCHEMA

    return SCHEMA


def test_the_end_of_a_sweep_and_how_it_is_watched(tmp_path, capsys):
    from kdzoo.cli.download_view import DownloadView
    from kdzoo.cli.sweep.live import LiveView
    from kdzoo.cli.sweep.results import show_results
    from kdzoo.search.record.board import CategoryOutcome, SweepBoard

    make_dataset(tmp_path / "parts")
    plan = small_plan(tmp_path, name="night", trials=1)
    capsys.readouterr()
    for text in TEXTS:
        board = SweepBoard((text,), trials=1, objective=text)
        board.outcomes[text] = CategoryOutcome(
            category=text, best=None, metrics={}, published=None, seconds=1.0, gpu_seconds=0.0, reason=text
        )
        with LiveView(text) as view, DownloadView() as bytes_view:
            view.note(text)
            view.preparing(text, 0, 1)
            view.update(board)
            view._console.print(view._table())
            bytes_view.stage(text, 10)
            bytes_view.note(text)
        show_results(board, plan, as_json=False)
        said = capsys.readouterr()
        assert not raw(said.out + said.err)
        assert has(said.out, text) == [] and has(said.err, text) == []


@pytest.fixture
def jobs(no_proxy):
    """A Ray job server that tells of jobs with all the texts in them."""
    pytest.importorskip("aiohttp")
    listed = [
        {
            "type": "SUBMISSION",
            "job_id": None,
            "submission_id": f"kdzoo-{number}",
            "driver_info": None,
            "status": "FAILED",
            "entrypoint": text,
            "message": text,
            "error_type": None,
            "start_time": 1,
            "end_time": 2,
            "metadata": {},
            "runtime_env": {"env_vars": {text: text}},
            "driver_exit_code": 1,
        }
        for number, text in enumerate(CHUNKS)
    ]

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self):
            path = unquote(self.path).strip("/").split("/")
            answer: object = {"version": "4", "ray_version": "2", "ray_commit": "x", "session_name": "x"}
            if path[1] == "jobs":
                number = int(path[2].removeprefix("kdzoo-")) if len(path) > 2 else 0
                answer = {"logs": CHUNKS[number]} if path[-1] == "logs" else listed[number] if len(path) > 2 else listed
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_jobs_of_a_cluster(jobs, capsys):
    ran = shown(capsys, "submit", "--address", jobs, "list")
    assert has(ran.out, "kdzoo-0", "kdzoo-49") == []
    shown(capsys, "submit", "--address", jobs, "list", "--json")
    for number in range(50):
        ran = shown(capsys, "submit", "--address", jobs, "show", f"kdzoo-{number}")
        assert has(ran.out, CHUNKS[number]) == []
        shown(capsys, "submit", "--address", jobs, "logs", f"kdzoo-{number}")


def test_the_leaderboard(tmp_path, capsys, monkeypatch):
    from kdzoo.tracking.environment import prepare_mlflow
    from kdzoo.tracking.store import open_client

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    prepare_mlflow()
    client = open_client(uri)
    experiment = client.create_experiment("kdzoo/rd/demo", artifact_location=str(tmp_path))
    for number, text in enumerate(CHUNKS):
        named = {
            "method": text,
            "dataset": f"{number % 3} {text}",
            "category": text,
            "protocol": text,
            "objective": "x",
        }
        tags = {f"kdzoo.{key}": value for key, value in named.items()} | {"kdzoo.level": "category"}
        made = client.create_run(experiment, tags={**tags, "kdzoo.split_digest": text})
        for name in ("val_x", "test_image_auroc"):
            client.log_metric(made.info.run_id, name, 0.5)
        client.set_terminated(made.info.run_id)
    ran = shown(capsys, "leaderboard", "--mlflow", uri)
    assert ran.out.count("mean of") == 50
    assert len(json.loads(shown(capsys, "leaderboard", "--mlflow", uri, "--json").out)["tables"]) == 50
    for text in TEXTS[:100]:
        shown(capsys, "leaderboard", "--mlflow", uri, "--dataset", text)


def test_methods_and_spaces(tmp_path, capsys):
    shown(capsys, "methods")
    for text in CHUNKS:
        given = f"x{text}".replace("\x00", "")
        ran = shown(capsys, "methods", given, status=(2,))
        assert "unknown method 'x" in ran.err or 'unknown method "x' in ran.err
        ran = shown(capsys, "space", "show", "aand", "--set", f"{given}=1", status=(2,))
        assert "unknown key 'x" in ran.err or 'unknown key "x' in ran.err
        space = tmp_path / "space.yaml"
        space.write_text(f"{json.dumps(text)}: 1\n")
        ran = shown(capsys, "space", "show", "aand", "--space", space, status=(2,))
        assert "space.yaml" in ran.err


def test_the_doctors_table(capsys):
    from kdzoo.cli.doctor import _print
    from kdzoo.doctor import Finding

    _print([Finding(check=text, node=text, state="fail", what=text, hint=text) for text in TEXTS])
    said = capsys.readouterr()
    assert not raw(said.out) and has(said.out, "0 ok, 0 warn, 1000 fail") == []
    wide = [Finding(check="a", node="b", state="ok", what=text, hint="") for text in TEXTS]
    _print(wide)
    assert has(capsys.readouterr().out, *TEXTS) == []


def test_errors_and_what_libraries_log(capsys):
    for text in TEXTS:
        tell_error(text, text)
        said = capsys.readouterr().err
        assert not raw(said) and all(line.startswith(("Error: ", "  ")) for line in said.splitlines())
        # What looks like a user's name and password in an address is no text to be shown.
        assert has(said, without_credentials(text)) == []
    for text in CHUNKS:
        name = f"--x{text}".replace("\x00", "")
        ran = shown(capsys, "zoo", "list", name, status=(2,))
        assert "No such option" in ran.err
    record = logging.LogRecord("other", logging.WARNING, "", 1, "%s", ("a\x1b[2J\u202e",), None)
    assert logging.lastResort is not None and logging.lastResort.format(record) == "a\\x1b[2J\\u202e"


def test_a_name_that_is_not_utf8_is_shown_and_no_traceback(tmp_path, capsys):
    folder = Path(f"{tmp_path}/\udcff[/red]")
    assert "/\\xff[/red]" in shown(capsys, "data", "verify", folder, status=(1,)).err
