"""By which code and among which packages: in a checkout, in an installation, and where git cannot say."""

import hashlib
import re
import subprocess
import sys
from importlib import metadata

import pytest

from kdzoo._version import __version__
from kdzoo.provenance import installed, provenance


def git(root, *arguments):
    named = ("-c", "user.name=x", "-c", "user.email=x@x", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", "-C", root, *named, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path):
    root = tmp_path / "checkout"
    for name in ("kdzoo", "zoo_registry", "docs"):
        (root / name).mkdir(parents=True)
        (root / name / "a.py").write_text("1\n")
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "first")
    return root


def code(root):
    return provenance(root)["code"]


def test_a_checkout_has_a_commit_and_a_state(checkout):
    head = git(checkout, "rev-parse", "HEAD")
    assert code(checkout) == {"version": __version__, "commit": head, "changed": False}
    (checkout / "docs" / "a.py").write_text("2\n")
    assert not code(checkout)["changed"], "it is no part of the code"
    (checkout / "kdzoo" / "new.py").write_text("2\n")
    assert code(checkout)["changed"]
    (checkout / "kdzoo" / "new.py").unlink()
    (checkout / "zoo_registry" / "a.py").write_text("2\n")
    assert code(checkout) == {"version": __version__, "commit": head, "changed": True}
    git(checkout, "commit", "-q", "-a", "-m", "second")
    assert code(checkout) == {"version": __version__, "commit": git(checkout, "rev-parse", "HEAD"), "changed": False}


def test_a_worktree_is_a_checkout(checkout, tmp_path):
    git(checkout, "worktree", "add", "-q", str(tmp_path / "beside"))
    assert code(tmp_path / "beside") == code(checkout)


def test_what_is_installed_within_somebodys_repository_is_not_of_it(checkout):
    inner = checkout / "venv" / "site-packages"
    (inner / "kdzoo").mkdir(parents=True)
    assert code(inner) == {"version": __version__}


def test_a_hooks_repository_is_not_taken_for_ours(checkout, tmp_path, monkeypatch):
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    found = code(checkout)
    monkeypatch.delenv("GIT_DIR")
    monkeypatch.delenv("GIT_WORK_TREE")
    assert found["commit"] == git(checkout, "rev-parse", "HEAD")


def test_without_git_or_a_commit_the_version_is_all(checkout, tmp_path, monkeypatch):
    empty = tmp_path / "empty"
    empty.mkdir()
    git(empty, "init", "-q")
    assert code(empty) == {"version": __version__}
    (tmp_path / "broken" / ".git").mkdir(parents=True)
    assert code(tmp_path / "broken") == {"version": __version__}
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert code(checkout) == {"version": __version__}


def test_packages_are_counted_and_their_list_has_a_digest(monkeypatch):
    lines = installed()
    assert lines == sorted(set(lines)) and all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*==\S+", line) for line in lines)
    assert f"numpy=={metadata.version('numpy')}" in lines
    told = provenance()["packages"]
    assert told == {"count": len(lines), "sha256": hashlib.sha256(("\n".join(lines) + "\n").encode()).hexdigest()}


def test_another_package_is_another_digest(tmp_path, monkeypatch):
    pytest.importorskip("importlib_metadata")  # it comes with MLflow, reads lists beside Python, and is stricter
    monkeypatch.setattr(sys, "path", [str(tmp_path)])  # of the others here, some may come and go meanwhile
    assert installed() == []
    seen = [provenance()["packages"]]
    for name, text in (("Odd_One", "Name: Odd_One\nVersion: 1\n"), ("nameless", "Version: 1\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "it-1.dist-info").mkdir()
        (tmp_path / name / "it-1.dist-info" / "METADATA").write_text(text)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "Odd_One"), str(tmp_path / "nameless")])
    assert installed() == ["odd-one==1"]
    damaged = tmp_path / "Odd_One" / "old-2.dist-info"
    damaged.mkdir()
    (damaged / "METADATA").write_bytes("Name: old\nVersion: 2\nAuthor: Jörg\n".encode("latin-1"))
    assert installed() in (["odd-one==1"], ["odd-one==1", "old==2"]), "told or left out, and no error"
    seen.append(provenance()["packages"])
    (tmp_path / "Odd_One" / "it-1.dist-info" / "METADATA").write_text("Name: Odd_One\nVersion: 2\n")
    assert installed() == ["odd-one==2"]
    seen.append(provenance()["packages"])
    assert [each["count"] for each in seen] == [0, 1, 1] and len({each["sha256"] for each in seen}) == 3
