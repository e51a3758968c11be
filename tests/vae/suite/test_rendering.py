from tests.vae.suite.made_up import made_up_results
from vae.suite.rendering import to_html, to_latex, to_markdown
from vae.suite.tables import Table, cell_table

TABLE = Table(title="A & B", header=("name", "β_1"), rows=(("x|y", "0.1 ± 0.2"), ("<i>", "−1 %")), note="A note.")


def test_markdown_escapes_bars_and_aligns_numbers_right() -> None:
    assert to_markdown(TABLE) == (
        "## A & B\n\n| name | β_1 |\n| --- | ---: |\n| x\\|y | 0.1 ± 0.2 |\n| <i> | −1 % |\n\nA note.\n"
    )


def test_html_shows_every_text_as_text() -> None:
    page = to_html(TABLE)
    assert "A &amp; B" in page
    assert "<td>" in page
    assert "&lt;i&gt;" in page
    assert "<i>" not in page


def test_latex_escapes_what_it_would_read_as_commands() -> None:
    text = to_latex(TABLE)
    assert r"\caption{A \& B}" in text
    assert r"name & $\beta$\_1 \\" in text
    assert r"<i> & $-$1 \% \\" in text


def test_every_row_of_a_real_table_reaches_every_format() -> None:
    table = cell_table(made_up_results())
    assert to_markdown(table).count("\n| ") == len(table.rows) + 2
    assert to_html(table).count("<tr>") == len(table.rows) + 1
    assert to_latex(table).count(r" \\") == len(table.rows) + 1
