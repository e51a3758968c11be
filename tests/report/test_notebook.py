import dataclasses
import re

import pytest
import torch

from ganspace_topdis.evaluation.rescoring import Rescoring
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.notebook import matrix_html, table_html

EVIL = "<script>alert(1)</script>"


@pytest.fixture
def directions() -> Directions:
    eye = torch.eye(2)
    scores = {"effect": [0.5, 0.25], "rtd_after": [1.0, 2.0], "factor": ["x_1", None], "matrix": [[1], [2]]}
    return Directions(
        vectors=eye,
        dual_vectors=eye,
        mean=torch.zeros(2),
        span=eye,
        scales=torch.ones(2),
        metadata={"method": "topdis", "space": "w", **scores},
    )


def cells(html: str) -> list[str]:
    return re.findall(r"<t[dh][^>]*>([^<]*)</t[dh]>", html)


def test_each_direction_is_a_row_of_scores(directions: Directions) -> None:
    assert cells(directions._repr_html_()) == [
        *("Index", "Effect", "Factor", "RTD after"),
        *("0", "0.500", "x 1", "1.00"),
        *("1", "0.250", "", "2.00"),
    ]
    assert "2 directions · topdis · w</caption>" in directions._repr_html_()


def test_directions_are_described_in_one_line(directions: Directions) -> None:
    assert repr(directions) == "Directions(2 of codes of 2 numbers, topdis, w)"
    assert repr(dataclasses.replace(directions, metadata={})) == "Directions(2 of codes of 2 numbers)"


def test_a_matrix_is_tinted_by_its_rows_shares_and_framed_where_matched() -> None:
    scores = Rescoring(
        factors=("x", "y"),
        matrix=[[3.0, 1.0], [0.0, 2.0]],
        direction=[0, 1],
        share=[0.75, 1.0],
        own_change=[0.5, 0.5],
        extent=[2.0, 2.0],
        spearman=[1.0, 0.5],
        off_target=[1 / 3, 0.0],
    )
    html = scores._repr_html_()
    assert cells(html) == ["", "X", "Y", "direction 0", "3.00", "1.00", "direction 1", "0.00", "2.00"]
    assert "mean share 0.875, mean Spearman 0.750" in html
    assert html.count("outline:") == 2
    assert re.findall(r"background:rgba\([\d,]+,(\d\.\d\d)\)", html) == ["0.52", "0.17", "0.00", "0.70"]


def test_text_from_files_cannot_leave_its_place() -> None:
    table = table_html([EVIL], [[EVIL]], caption=EVIL)
    matrix = matrix_html([EVIL], [EVIL], [[1.0]], caption=EVIL)
    assert "<script" not in table + matrix
