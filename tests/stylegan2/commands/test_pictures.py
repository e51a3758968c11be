from pathlib import Path

import pytest

from stylegan2.picture_settings import PictureSettings
from stylegan2.run_pictures import page_text
from tests.stylegan2.commands.found_directions import write_found


@pytest.mark.parametrize(
    ("space", "subtitle"),
    [
        ({}, "space W; truncation 0.5"),
        ({"layers": (0, 1, 2, 4)}, "space W; layers 0-2,4; truncation 0.5"),
        ({"name": "z"}, "space Z; truncation 0.5"),
    ],
)
def test_a_page_says_where_its_directions_were_found(tmp_path: Path, space: dict[str, object], subtitle: str):
    directions = write_found(tmp_path, **space)[2]
    text = page_text(directions, PictureSettings(truncation_psi=0.5))
    assert text.subtitle == subtitle


def test_a_page_names_the_method(tmp_path: Path):
    directions = write_found(tmp_path)[2]
    directions.metadata["method"] = "sefa"
    assert page_text(directions, PictureSettings()).title == "Directions found by sefa"
