"""What commands print is plain text on the right stream, whatever is in it."""

import io
import sys

import pytest

from kdzoo.cli.say import say, say_bytes, say_log, say_result, tell, tell_error


def test_results_and_remarks_have_a_stream_each_and_a_text_is_a_line(capsys):
    say("a\nb", "c")
    tell("d\x1b[2J", alarm="Warning: ")
    said = capsys.readouterr()
    assert said.out == "a\\nb\nc\n"
    assert said.err == "Warning: d\\x1b[2J\n"


def test_json_keeps_what_a_person_sees_as_an_escape(capsys):
    say_result({"a": "\u202e\n"}, lambda found: [found["a"]], as_json=True)
    say_result({"a": "\u202e\n"}, lambda found: [found["a"]], as_json=False)
    assert capsys.readouterr().out == '{"a": "\\u202e\\n"}\n\\u202e\\n\n'


def test_a_name_cannot_begin_a_line_of_an_error_as_the_error_does(capsys):
    tell_error("no 'x\nError: all is lost'\n  see a\n  b", "go\n  on")
    assert capsys.readouterr().err == "Error: no 'x\\nError: all is lost'\n  see a\n  b\n  go\n  on\n"


@pytest.mark.parametrize(("terminal", "printed"), [(False, "\u202e\n\x1b\n"), (True, "\\u202e\n\\x1b\n")])
def test_bytes_are_kept_unless_a_terminal_reads_them(monkeypatch, terminal, printed):
    stream = io.StringIO()
    stream.isatty = lambda: terminal
    monkeypatch.setattr(sys, "stdout", stream)
    say_bytes("\u202e\n\x1b\n")
    assert stream.getvalue() == printed


def test_a_log_loses_its_colours_and_hides_no_line(capsys):
    say_log("\x1b[31mred\x1b[0m\tx\n 10 %\r100 %\r\nend\x1b]0;t\x07")
    assert capsys.readouterr().out == "red     x\n 10 %\n100 %\nend\\x1b]0;t\\x07"
