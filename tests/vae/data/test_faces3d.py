import os
import pickle
import zipfile

import numpy as np
import pytest
import torch

from tests.vae.data.published import random_images, small_info, write_faces
from vae.data.errors import DataFileError
from vae.data.opening import open_set

INFO = small_info("3dfaces", (2, 3, 2, 2))
IMAGES = random_images(INFO)


@pytest.mark.parametrize("legacy", [False, True])
def test_both_containers_of_torch_are_read(tmp_path, memory, legacy):
    path = write_faces(tmp_path / "a.pth", INFO, IMAGES, legacy=legacy)
    data = open_set(INFO, root=path, store=memory)
    assert np.array_equal(data.images(np.arange(len(data))), IMAGES)
    assert data.codes([23]).tolist() == [[1, 2, 1, 1]]


class Hostile:
    def __reduce__(self):
        return os.mkdir, ("made-by-a-pickle",)


@pytest.mark.parametrize("save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
def test_a_hostile_file_is_refused_and_runs_nothing(tmp_path, memory, monkeypatch, save):
    monkeypatch.chdir(tmp_path)
    save(Hostile(), tmp_path / "a.pth")
    with pytest.raises(DataFileError, match="nothing of it was run"):
        open_set(INFO, root=tmp_path / "a.pth", store=memory)
    assert not (tmp_path / "made-by-a-pickle").exists()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.zeros(3, dtype=torch.uint8), r"torch.uint8 of shape \(3,\)"),
        (torch.zeros(2, 3, 2, 2, 64, 64), "torch.float32"),
        (torch.zeros(1, dtype=torch.uint8).expand(2, 3, 2, 2, 64, 64), "expected is torch.uint8"),
        ({"images": torch.zeros(1)}, "holds a dict"),
    ],
)
def test_another_value_is_refused(tmp_path, memory, value, message):
    torch.save(value, tmp_path / "a.pth")
    with pytest.raises(DataFileError, match=message):
        open_set(INFO, root=tmp_path / "a.pth", store=memory)


def test_a_compressed_archive_is_refused(tmp_path, memory):
    plain = write_faces(tmp_path / "plain.pth", INFO, IMAGES)
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(tmp_path / "a.pth", "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    with pytest.raises(DataFileError, match="compressed archive"):
        open_set(INFO, root=tmp_path / "a.pth", store=memory)


@pytest.mark.parametrize("keep", [0, 10, 3000, -200])
def test_a_cut_file_is_refused(tmp_path, memory, keep):
    path = write_faces(tmp_path / "a.pth", INFO, IMAGES)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataFileError):
        open_set(INFO, root=path, store=memory)
