"""What a person sees of a download."""

import io
import re

import pytest

from kdzoo.cli import download_view
from kdzoo.cli.download_view import DownloadView

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def watch(monkeypatch, *, terminal):
    shown = io.StringIO()
    console = download_view.Console
    monkeypatch.setattr(
        download_view, "Console", lambda **_: console(file=shown, force_terminal=terminal, width=100, color_system=None)
    )
    with DownloadView() as view:
        view.stage("Downloading", 40_000_000)
        view.done(10_000_000)
        view.note("the connection ended; trying again in 1 s")
        view.stage("Downloading", 40_000_000, 10_000_000)
        view.done(40_000_000)
        view.stage("Checking", 40_000_000)
        view.done(40_000_000)
    return ESCAPES.sub("", shown.getvalue())


def test_a_terminal_has_a_bar_for_each_piece_of_work(monkeypatch):
    shown = watch(monkeypatch, terminal=True)
    assert "the connection ended; trying again in 1 s\n" in shown
    last = shown.strip().splitlines()[-2:]
    assert [line.split()[0] for line in last] == ["Downloading", "Checking"]
    assert all("40.0/40.0 MB" in line for line in last)


@pytest.mark.parametrize(("every", "more"), [(10.0, []), (0.0, ["25%", "100%", "100%"])])
def test_a_log_has_a_line_now_and_then(monkeypatch, every, more):
    monkeypatch.setattr(download_view, "_LINE_EVERY_S", every)
    lines = watch(monkeypatch, terminal=False).splitlines()
    assert [line for line in lines if "%" not in line] == [
        "Downloading 40.0 MB", "the connection ended; trying again in 1 s", "Checking 40.0 MB",
    ]  # fmt: skip
    assert re.findall(r"\d+%", " ".join(lines)) == more
