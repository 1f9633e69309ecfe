"""A search space file is a person's: every mistake in it is named with its file and line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdzoo.errors import SearchSpaceError
from kdzoo.search.space.yaml_lines import parse_yaml, read_yaml

BOMB = "a: &a [x, x]\nb: &b [*a, *a, *a]\nc: [*b, *b, *b]\n"


def test_values_and_their_lines():
    root = parse_yaml("a: 1\nb:\n  c: [0.5, true, null, text, 1e-3]\n\n  d: {e: '1e-3'}\n", "space.yaml")
    assert root == {"a": 1, "b": {"c": [0.5, True, None, "text", 0.001], "d": {"e": "1e-3"}}}
    assert root.where("b") == "space.yaml:2"
    assert root["b"].where("d") == "space.yaml:5"
    assert root["b"]["d"].where("absent") == "space.yaml:5"


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("a: 1\nb: !!python/object/apply:os.system ['true']\n", 2, "python/object/apply:os.system is not allowed"),
        ("a: !!python/name:os.system ''\n", 1, "python/name:os.system is not allowed"),
        ("a: 1\nb: !!python/object:builtins.dict {}\n", 2, "is not allowed"),
        ("a: !own 3\n", 1, "!own is not allowed"),
        ("a: 2020-01-01\n", 1, "timestamp is not allowed"),
        ("a: !!binary aGVsbG8=\n", 1, "binary is not allowed"),
        ("a: !!bool maybe\n", 1, "not a plain value"),
        ("a: !!int ''\n", 1, "not a plain value"),
        (BOMB, 1, "anchors and aliases"),
        ("a: 1\nb: 2\na: 3\n", 3, "'a' stands here twice"),
        ("a: {b: 1,\n b: 2}\n", 2, "'b' stands here twice"),
        ("a:\n  - .nan\n", 2, "not a finite number"),
        ("a: nan\n", 1, "not a finite number"),
        ("a: -inf\n", 1, "not a finite number"),
        ("a: 1e999\n", 1, "not a finite number"),
        (f"a: 1\nb: 1{'0' * 400}\n", 2, "this large"),
        (f"a: 1{'0' * 5000}\n", 1, "not a plain value"),
        ("a: 1\n? [b]\n: 2\n", 2, "plain text"),
        ("a: 1\nb: [\n", 3, ""),
        ("a: 1\n\tb: 2\n", 2, ""),
        ("a: 1\n---\nb: 2\n", 2, "another document"),
        ("a: 1\nb: \x00\n", 2, "#x0000 is not allowed"),
        ("- a\n", 1, "expected a mapping"),
        ("", 1, "expected a mapping"),
        ("a: " + "[" * 30 + "]" * 30, 1, "nested too deeply"),
        ("a: " + "[" * 200_000, 1, "nested too deeply"),
    ],
)
def test_mistakes_are_named_with_their_line(text, line, problem):
    with pytest.raises(SearchSpaceError) as caught:
        parse_yaml(text, "space.yaml")
    assert caught.value.message.startswith(f"space.yaml:{line}: ")
    assert problem in caught.value.message


def test_a_byte_order_mark_is_passed_over(tmp_path):
    file = tmp_path / "space.yaml"
    file.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read_yaml(file) == {"a": 1}


@pytest.mark.parametrize(
    ("data", "problem"),
    [("a: é\n".encode("latin-1"), "is not UTF-8"), (b"a: 1\n" * 300_000, "too large"), (None, "No such file")],
)
def test_files_that_cannot_be_read(tmp_path, data, problem):
    file = tmp_path / "space.yaml"
    if data is not None:
        file.write_bytes(data)
    with pytest.raises(SearchSpaceError, match=problem) as caught:
        read_yaml(file)
    assert str(file) in caught.value.message


@given(st.text(alphabet=st.sampled_from("ab:{}[],-?!&*'\"|>#%@ \n\t0.e\ufeff\x00\x85"), max_size=40))
def test_any_text_is_a_mapping_or_a_named_mistake(text):
    try:
        assert isinstance(parse_yaml(text, "space.yaml"), dict)
    except SearchSpaceError as error:
        assert error.message.startswith("space.yaml:")
