import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from ganspace_topdis.traversal import lettering
from ganspace_topdis.traversal.lettering import draw_text, shorten, text_width


def ink(text: str, size_px: int = 20, align: str = "l") -> np.ndarray:
    image = Image.new("L", (400, 60), 255)
    draw_text(ImageDraw.Draw(image), 200, 40, text, size_px, (0, 0, 0) if image.mode == "RGB" else "black", align)
    return np.asarray(image) < 128


def columns(text: str, align: str = "l") -> tuple[int, int]:
    used = np.flatnonzero(ink(text, align=align).any(axis=0))
    return int(used[0]), int(used[-1])


@pytest.mark.parametrize("text", ["−", "σ", "−1.5 σ", "seed 1"])
def test_text_leaves_ink_no_wider_than_its_width(text: str) -> None:
    left, right = columns(text)
    assert 200 <= left <= 204
    assert right - 200 <= text_width(text, 20) + 2


def test_minus_is_one_bar_at_the_height_of_the_plus() -> None:
    minus, plus = ink("−"), ink("+")
    bar = np.flatnonzero(minus.any(axis=1))
    assert len(bar) <= 3
    assert abs(bar.mean() - np.flatnonzero(plus.any(axis=1)).mean()) <= 1.5


def test_sigma_is_an_o_with_a_bar_to_its_right() -> None:
    assert not (ink("o") & ~ink("σ")).any()
    assert columns("σ")[1] > columns("o")[1]


def test_sigma_is_not_the_mark_of_a_missing_letter() -> None:
    assert (ink("σ") != ink("\uffff")).any()


@pytest.mark.parametrize("text", ["−3 σ", "Smile"])
def test_text_is_aligned_left_middle_and_right(text: str) -> None:
    width = text_width(text, 20)
    starts = [columns(text, align)[0] for align in "lmr"]
    assert starts[0] - starts[1] == pytest.approx(width / 2, abs=1.5)
    assert starts[0] - starts[2] == pytest.approx(width, abs=1.5)


def test_without_a_system_font_accents_are_dropped_and_the_rest_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lettering, "_SYSTEM_FONTS", ())
    assert (ink("é") == ink("e")).all()
    assert (ink("中") == ink("?")).all()


@settings(deadline=None, max_examples=50)
@given(text=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60), width=st.integers(20, 300))
def test_shortened_text_fits_and_short_text_stays(text: str, width: int) -> None:
    short = shorten(text, 14, width)
    assert text_width(short, 14) <= width
    assert short == text or (short.endswith("...") and text.startswith(short[:-3]))
