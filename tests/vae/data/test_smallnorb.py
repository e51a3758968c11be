import gzip

import numpy as np
import pytest
from PIL import Image

from tests.vae.data.published import norb_matrix, small_info, write_smallnorb
from vae.data.errors import DataFileError
from vae.data.opening import open_set

INFO = small_info("smallnorb", (2, 3, 2, 2), images_per_combination=4)


def test_left_pictures_come_in_the_order_of_the_grid_with_the_toys_last(tmp_path, store):
    left = write_smallnorb(tmp_path, INFO)
    data = open_set(INFO, root=tmp_path, store=store)
    assert len(data) == 2 * 3 * 2 * 2 * 4
    assert data.images_per_combination == 4
    images = data.images(np.arange(len(data)))
    for index, code in enumerate(np.ndindex(2, 3, 2, 2, 4)):
        reduced = Image.fromarray(left[code]).resize((64, 64), Image.Resampling.LANCZOS)
        assert np.array_equal(images[index, ..., 0], np.asarray(reduced))
        assert data.codes([index])[0].tolist() == list(code[:4])


@pytest.mark.parametrize(
    ("position", "content", "message"),
    [
        (0, b"no gzip", "is no gzip file or is damaged"),
        (0, gzip.compress(b"short"), "is no gzip file or is damaged"),
        (0, gzip.compress(bytes(64)), "is no matrix of the NORB format"),
        (0, norb_matrix(np.zeros((5, 2, 96, 96), np.uint8)), r"expected is uint8 of shape \(48, 2, 96, 96\)"),
        (1, norb_matrix(np.full(48, 7, "<i4")), "holds labels outside of"),
        (1, norb_matrix(np.zeros(48, "<i4")), "name .* of 96 toys and views"),
        (2, norb_matrix(np.zeros((48, 3), "<i4")), "expected is int32 labels"),
        (2, norb_matrix(np.zeros((47, 4), "<i4")), "do not belong together"),
    ],
)
def test_other_files_are_refused(tmp_path, memory, position, content, message):
    write_smallnorb(tmp_path, INFO)
    (tmp_path / INFO.files[position].name).write_bytes(content)
    with pytest.raises(DataFileError, match=message):
        open_set(INFO, root=tmp_path, store=memory)
