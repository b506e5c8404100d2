"""Tables of text."""

from minidl.system.tables import markdown_table, text_table

ROWS = [["name", "ms"], ["a", "10.5"], ["longer", "9"]]


def test_columns_line_up():
    assert text_table(ROWS) == "name      ms\na       10.5\nlonger     9"
    assert text_table(ROWS, left=2) == "name    ms\na       10.5\nlonger  9"


def test_markdown():
    assert markdown_table(ROWS) == "| name | ms |\n| --- | ---: |\n| a | 10.5 |\n| longer | 9 |"
    assert "| a\\|b |" in markdown_table([["x"], ["a|b"]])
