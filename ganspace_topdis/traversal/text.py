"""Text on pictures that looks the same on every machine, and the colors of all pictures.

Pillow's own font (Aileron) is always available, but lacks the minus sign and sigma, which every axis of shifts needs.
Both are drawn here, based on its plus and its o. Other letters that it lacks come from a system font that has them all,
otherwise they lose their accents, otherwise they become question marks.
"""

import functools
import unicodedata
from collections.abc import Iterator

from PIL import Image, ImageDraw, ImageFont

__all__ = ["BETWEEN", "GRAY", "INK", "PAPER", "draw_text", "shorten", "text_width"]

PAPER, INK, GRAY = "#fcfcfa", "#1b1f24", "#667079"
"""Background, text and secondary text of pictures."""
BETWEEN = "  ·  "
"""Stands between the parts of a line, which are dropped whole where they do not fit."""
_BUILT = "−σ"
_SYSTEM_FONTS = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "LiberationSans-Regular.ttf",
    "Arial Unicode.ttf",
    "Arial.ttf",
    "NotoSansCJK-Regular.ttc",
    "msyh.ttc",
)
_Font = ImageFont.FreeTypeFont
_Color = str | tuple[int, int, int]


def text_width(text: str, size_px: int) -> float:
    """Return the width of `text` in pixels."""
    return sum(advance for _, advance in _runs(*_font_and_text(text, size_px)))


def draw_text(
    draw: ImageDraw.ImageDraw, x: float, baseline: float, text: str, size_px: int, fill: _Color, align: str = "l"
) -> None:
    """Draw `text` with its left end, middle or right end (`align` "l", "m" or "r") at `x`."""
    font, text = _font_and_text(text, size_px)
    runs = list(_runs(font, text))
    x -= {"l": 0.0, "m": 0.5, "r": 1.0}[align] * sum(advance for _, advance in runs)
    for run, advance in runs:
        if run == "−":
            _draw_minus(draw, x, baseline, advance, size_px, fill)
        elif run == "σ":
            _draw_sigma(draw, x, baseline, font, size_px, fill)
        else:
            draw.text((x, baseline), run, font=font, fill=fill, anchor="ls")
        x += advance


def shorten(text: str, size_px: int, width_px: float, ending: str = "") -> str:
    """Return `text` and `ending`; if they are wider than `width_px`, "..." replaces the last letters of `text`."""
    if text_width(text + ending, size_px) <= width_px:
        return text + ending
    if ending and text_width(f"...{ending}", size_px) > width_px:
        return shorten(text + ending, size_px, width_px)
    while text and text_width(f"{text.rstrip()}...{ending}", size_px) > width_px:
        text = text[:-1]
    return f"{text.rstrip()}...{ending}"


def _runs(font: _Font, text: str) -> Iterator[tuple[str, float]]:
    """Yield the text split at the built glyphs, each piece with its advance; a system font needs no splitting."""
    built = _BUILT if font is _embedded(round(font.size)) else ""
    start = 0
    for position, letter in enumerate(text + built[:1]):
        if letter not in built:
            continue
        if position > start:
            yield text[start:position], font.getlength(text[start:position])
        if position < len(text):
            yield letter, font.getlength("+" if letter == "−" else "o") + (letter == "σ") * font.size * 0.1
        start = position + 1
    if not built and text:
        yield text, font.getlength(text)


def _stroke_px(size_px: int) -> int:
    return max(1, round(size_px * 0.075))


def _draw_minus(
    draw: ImageDraw.ImageDraw, x: float, baseline: float, advance: float, size_px: int, fill: _Color
) -> None:
    stroke, middle = _stroke_px(size_px), baseline - 0.30 * size_px
    top = round(middle - stroke / 2)
    draw.rectangle((round(x + 0.12 * advance), top, round(x + 0.86 * advance), top + stroke - 1), fill=fill)


def _draw_sigma(draw: ImageDraw.ImageDraw, x: float, baseline: float, font: _Font, size_px: int, fill: _Color) -> None:
    draw.text((x, baseline), "o", font=font, fill=fill, anchor="ls")
    left, top, right, _ = font.getbbox("o", anchor="ls")
    bar_top = round(baseline + top)
    bar = (
        round(x + (left + right) / 2),
        bar_top,
        round(x + right + 0.07 * size_px),
        bar_top + _stroke_px(size_px) - 1,
    )
    draw.rectangle(bar, fill=fill)


def _font_and_text(text: str, size_px: int) -> tuple[_Font, str]:
    font = _embedded(size_px)
    if _covers(font, text):
        return font, text
    for name in _SYSTEM_FONTS:
        system = _system(name, size_px)
        if system is not None and _covers(system, text):
            return system, text
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    return font, "".join(letter if _covers(font, letter) else "?" for letter in plain)


@functools.cache
def _embedded(size_px: int) -> _Font:
    font = ImageFont.load_default(size=size_px)
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow was built without FreeType"
    return font


@functools.cache
def _system(name: str, size_px: int) -> _Font | None:
    try:
        return ImageFont.truetype(name, size_px)
    except OSError:
        return None


def _covers(font: _Font, text: str) -> bool:
    return all(_has(font, letter) for letter in set(text) - set(_BUILT))


@functools.cache
def _has(font: _Font, letter: str) -> bool:
    """Return whether the font has the letter: a missing one is drawn like U+FFFF, which is not a character."""
    return letter.isspace() or _picture(font, letter) != _picture(font, "\uffff")


def _picture(font: _Font, letter: str) -> tuple[tuple[int, int], bytes]:
    image = Image.new("L", (2 * round(font.size), 2 * round(font.size)))
    ImageDraw.Draw(image).text((round(font.size) // 2, round(font.size) // 4), letter, font=font, fill=255)
    return image.size, image.tobytes()
