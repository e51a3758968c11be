from pathlib import Path

import numpy as np
import pytest

from tests.vae.data.published import grid_codes, small_info
from vae.data.errors import DataFileError
from vae.data.order import require_grid_order, require_length

INFO = small_info("3dfaces", (2, 3, 1, 2))
PATH = Path("file")


def test_classes_and_values_that_grow_with_them_are_in_order():
    require_grid_order(PATH, INFO, grid_codes(INFO))
    require_grid_order(PATH, INFO, grid_codes(INFO) * 0.25 - 3)


@pytest.mark.parametrize("change", ["swap", "columns", "fewer"])
def test_any_other_order_is_refused(change):
    labels = grid_codes(INFO)
    if change == "swap":
        labels[[3, 4]] = labels[[4, 3]]
    labels = {"swap": labels, "columns": labels[:, ::-1], "fewer": np.minimum(labels, [1, 1, 1, 1])}[change]
    with pytest.raises(DataFileError, match="do not run through"):
        require_grid_order(PATH, INFO, labels)


def test_the_number_of_images_must_be_the_sets():
    require_length(PATH, INFO, 12)
    with pytest.raises(DataFileError, match="file has 11 images, 3dfaces has 12"):
        require_length(PATH, INFO, 11)
