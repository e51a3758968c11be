import re
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganspace_topdis.report.page import build_page, figure, paragraph, section, style_sheet
from ganspace_topdis.report.table import Table, settings_table, to_html, to_latex, to_markdown, to_text
from ganspace_topdis.report.values import format_number, format_setting, format_shift, score_name, score_note

EVIL = "<script>alert(1)</script>"
TABLE = Table(title="A & B", header=("name", "β_1"), rows=(("x|y", "0.1 ± 0.2"), ("<i>", "−1 %")), note="A note.")
WIDE = Table(
    title="Wide",
    header=("method", *(f"a metric with the number {k}" for k in range(12))),
    rows=tuple((name, *(f"0.{k:03d} ± 0.001" for k in range(12))) for name in ("first", "second " * 12)),
)


# Values


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12))
def test_a_number_is_read_back_to_at_least_two_digits(value: float) -> None:
    text = format_number(value).replace("−", "-").replace(",", "")
    assert float(text) == pytest.approx(value, rel=0.05)


@given(st.floats(-1e12, 1e12).filter(lambda value: value == 0 or abs(value) > 1e-99))
def test_numbers_stay_short(value: float) -> None:
    assert len(format_number(value)) <= len("−1.2e−300")
    assert len(format_number(value, num_digits=3)) <= len("−1.2e−300")


@given(st.floats(0.01, 100))
def test_opposite_shifts_differ_in_their_sign_only(sigma: float) -> None:
    assert format_shift(sigma)[1:] == format_shift(-sigma)[1:]
    assert (format_shift(sigma)[0], format_shift(-sigma)[0]) == ("+", "−")
    assert format_shift(sigma, "") == format_shift(sigma).removesuffix(" σ")


def test_a_zero_shift_has_no_sign_and_no_unit() -> None:
    assert format_shift(0.0) == format_shift(-0.0) == "0"


def test_an_unknown_score_is_shown_by_its_own_name() -> None:
    assert score_name("mean_hue_change") == "Mean hue change"
    assert score_note("mean_hue_change") == ""
    assert "standard deviation" in score_note("effect")


@pytest.mark.parametrize(
    ("value", "text"),
    [((), "—"), ({}, "—"), (False, "no"), (64, "64"), (1e-4, "0.0001"), ({"a_b": None}, "a b —"), ([[1], 2], "1, 2")],
)
def test_settings_have_no_python_syntax(value: object, text: str) -> None:
    assert format_setting(value) == text


# Tables


def test_markdown_escapes_bars_and_tags_and_aligns_numbers_right() -> None:
    assert to_markdown(TABLE) == (
        "## A & B\n\n| name | β_1 |\n| --- | ---: |\n| x\\|y | 0.1 ± 0.2 |\n| \\<i> | −1 % |\n\nA note.\n"
    )


def test_html_shows_every_text_as_text() -> None:
    page = to_html(TABLE)
    assert "A &amp; B" in page
    assert "<td>" in page
    assert "&lt;i&gt;" in page
    assert "<i>" not in page


def test_latex_escapes_its_special_characters() -> None:
    text = to_latex(TABLE)
    assert r"\caption{A \& B}" in text
    assert r"name & $\beta$\_1 \\" in text
    assert r"<i> & $-$1 \% \\" in text


def test_plain_text_aligns_labels_left_and_numbers_right() -> None:
    assert to_text(TABLE).splitlines() == [
        "A & B",
        "name         β_1",
        "x|y    0.1 ± 0.2",
        "<i>         −1 %",
        "A note.",
    ]


@given(
    st.lists(st.text("abc xyz", max_size=30), min_size=1, max_size=8),
    st.lists(st.integers(0, 10**6), min_size=1, max_size=15),
)
def test_plain_text_never_exceeds_80_columns_and_loses_nothing(labels: list[str], numbers: list[int]) -> None:
    header = ("setting", *(f"metric {place}" for place in range(len(numbers))))
    table = Table(header=header, rows=tuple((label, *map(str, numbers)) for label in labels), title="t", note="n")
    text = to_text(table)
    assert max(map(len, text.splitlines())) <= 80
    for number in numbers:
        assert len(re.findall(rf"(?<!\d){number}(?!\d)", text)) >= len(labels)


def test_wide_tables_are_split_instead_of_cut() -> None:
    for lines in (to_text(WIDE).splitlines(), to_markdown(Table(header=WIDE.header, rows=WIDE.rows[:1])).splitlines()):
        assert max(map(len, lines)) <= 80
    for rendered in (to_text(WIDE), to_markdown(WIDE), to_html(WIDE)):
        assert all(len(re.findall(rf"0\.{k:03d} ± 0\.001", " ".join(rendered.split()))) == 2 for k in range(12))
    assert to_html(WIDE).count("<table") == 2


def test_each_row_of_a_wide_table_becomes_a_block_on_a_narrow_screen() -> None:
    assert 'class="stack"' in to_html(WIDE)
    assert 'data-label="a metric with the number 3"' in to_html(WIDE)
    assert "stack" not in to_html(TABLE)


def test_tints_marks_and_muted_rows_are_visible() -> None:
    table = Table(header=("a", "b", "c"), rows=(("x", "1", "2"),), tints={(0, 1): 0.5, (0, 2): 9.0}, muted=[0])
    page = to_html(Table(**{**vars(table), "marked": [(0, 1)]}))
    assert "rgba(36,99,168,0.35);outline" in page
    assert "rgba(36,99,168,0.70)" in page
    assert page.count('class="muted"') == 1


def test_nested_settings_get_a_row_each() -> None:
    assert settings_table({"a": {}, "b": {"c": 1}}).rows == (("a", "—"), ("b: c", "1"))


# Pages


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + bytes(width) for _ in range(height)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_text_from_files_stays_text() -> None:
    parts = [paragraph(EVIL), section(EVIL, to_html(Table(header=(EVIL,), rows=((EVIL,),), title=EVIL, note=EVIL)))]
    page = build_page(EVIL, [*parts, figure(png(2, 2), f'"{EVIL}', caption=EVIL)], subtitle=EVIL, verdict=EVIL)
    assert "<script" not in page
    assert 'alt="&quot;&lt;script' in page


def test_backquotes_in_a_paragraph_mark_code() -> None:
    assert paragraph("Run `a <b>`, then `c`; 5` wide.") == (
        "<p>Run <code>a &lt;b&gt;</code>, then <code>c</code>; 5` wide.</p>"
    )


def test_the_verdict_is_the_first_result_and_empty_parts_are_left_out() -> None:
    page = build_page("Title", ["", section("Empty", ""), section("Scores", "<p>1</p>")], verdict="All good.")
    assert "Empty" not in page
    assert page.index("<h1>Title") < page.index("All good.") < page.index("<h2>Scores")


def test_a_verdict_of_several_lines_is_a_list() -> None:
    page = build_page("Title", [], verdict="MIG: better.\nSAP: <no difference>.")
    assert '<ul class="verdict"><li>MIG: better.</li><li>SAP: &lt;no difference&gt;.</li></ul>' in page


def test_a_page_requests_nothing_and_has_one_style_sheet() -> None:
    page = build_page("Title", [figure(png(2, 2), "a picture")])
    assert page.count("<style>") == 1
    assert style_sheet() in page
    assert not re.search(r"https?:|@import|url\(", page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width_px", [400, 1400])
def test_no_part_of_a_page_is_cut_at_either_width(browser, tmp_path, width_px: int, scheme: str) -> None:
    matrix = Table(
        header=("latent", *(f"factor {k}" for k in range(6)), "KL"),
        rows=tuple((str(j), *["0.12"] * 6, "1.23") for j in range(3)),
        tints={(0, k): 0.5 for k in range(1, 7)},
    )
    parts = [
        to_html(TABLE),
        to_html(WIDE),
        to_html(matrix),
        to_html(settings_table({"a": "long" * 20, "b": "c " * 80})),
    ]
    path = tmp_path / "page.html"
    path.write_text(build_page("long " * 40, [*parts, figure(png(1600, 90), "wide")], verdict="v"), encoding="utf-8")
    browser.color_scheme(scheme)
    browser.open(path, width_px, 800)
    assert browser.run("document.documentElement.scrollWidth") <= width_px
    overhangs = (
        "[...document.querySelectorAll('table')].map((table) => table.scrollWidth - table.parentNode.clientWidth)"
    )
    assert max(browser.run(overhangs)) <= 1
    ink, paper = browser.run(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
        ".map((color) => color.match(/\\d+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0))"
    )
    assert (ink < 200 < 600 < paper) if scheme == "light" else (paper < 200 < 600 < ink)
    assert browser.complaints() == []
