"""Cells, headings and titles are text: markup, emoji codes and line ends in them are shown."""

from kdzoo.cli.tables import Page, PlainTable, number


def printed(capsys) -> str:
    return capsys.readouterr().out


def test_nothing_in_a_table_is_read_as_markup(capsys):
    table = PlainTable("of [bold]x", ("na[red]me", "n"), numbers=("n",))
    table.add_row("ds2[old] :bug:\x1b[2J", "[/red]", styles=("red",))
    Page().table(table)
    found = printed(capsys)
    for text in ("of [bold]x", "na[red]me", "ds2[old] :bug:\\x1b[2J", "[/red]"):
        assert text in found


def test_a_line_break_does_not_make_a_row(capsys):
    table = PlainTable(None, ("name",))
    table.add_row("a\nb")
    Page().table(table)
    assert "a\\nb" in printed(capsys)


def test_a_line_is_one_line_whatever_its_length(capsys):
    page = Page()
    page.line("x" * 1000 + "[/red]")
    page.line()
    assert printed(capsys) == "x" * 1000 + "[/red]\n\n"


def test_numbers_that_are_not_defined_are_a_dash():
    assert [number(None), number(0.12345), number(0.12345, 1)] == ["–", "0.123", "0.1"]
