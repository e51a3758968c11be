import re

import pytest

from ganspace_topdis.errors import InvalidArgumentError
from stylegan2.picture_settings import parse_layers, parse_numbers, written_short


def test_ranges_that_overlap_name_each_layer_once():
    assert parse_layers("2-5, 0-3,coarse", 8) == (0, 1, 2, 3, 4, 5)


@pytest.mark.parametrize("text", [None, "all", " all "])
def test_all_layers_are_none_in_particular(text):
    assert parse_layers(text, 8) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("4-2", "`layers` is '4-2', a descending range; give 2-4"),
        ("0-99", "`layers` is '0-99', but layers 8 to 99 do not exist: this generator has layers 0 to 7"),
        ("0,8", "`layers` is '0,8', but layer 8 does not exist"),
        ("nose", "`layers` is 'nose'; give numbers and ranges such as 1-8,12, or coarse, middle, fine"),
        ("", "`layers` is ''; give numbers"),
        ("fine", "`layers` 'fine' names no layer"),
        ("0-20000", "`layers` is '0-20000'; a range has at most"),
    ],
)
def test_layers_that_cannot_be_are_refused_with_what_can(text, message):
    with pytest.raises(InvalidArgumentError, match=re.escape(message)):
        parse_layers(text, 8)


def test_numbers_that_are_no_layers_hear_nothing_of_names_of_layers():
    with pytest.raises(InvalidArgumentError, match=r"`seeds` is 'x'; give numbers and ranges such as 1-8,12$"):
        parse_numbers("x", "seeds")


@pytest.mark.parametrize("numbers", [(0,), (0, 2), (3, 4), (0, 1, 2, 3, 6, 8, 9)])
def test_numbers_written_short_are_read_as_the_same(numbers):
    assert parse_numbers(written_short(numbers), "layers") == numbers
