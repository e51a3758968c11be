import pytest

from tests.vae.data.published import small_info
from vae.data.catalogue import CATALOGUE
from vae.data.errors import DataFileError
from vae.data.places import find_files

INFO = CATALOGUE["3dshapes"]
NORB = CATALOGUE["smallnorb"]


def test_a_file_is_taken_whatever_its_name(tmp_path):
    (tmp_path / "mine.h5").write_bytes(b"")
    assert find_files(INFO, tmp_path / "mine.h5") == (tmp_path / "mine.h5",)


@pytest.mark.parametrize("folder", [".", "3dshapes"])
def test_a_folder_is_searched_for_the_published_name(tmp_path, folder, monkeypatch):
    file = tmp_path / folder / "3dshapes.h5"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"")
    assert find_files(INFO, tmp_path) == (file,)
    monkeypatch.setenv("TOPDIS_DATA", str(tmp_path))
    assert find_files(INFO) == (file,)


def test_a_download_in_the_cache_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr("vae.data.places.cached_file", lambda url, kind: tmp_path / kind / url.rpartition("/")[2])
    assert find_files(INFO) == (tmp_path / "data" / "3dshapes.h5",)


def test_all_files_of_a_set_come_in_their_order(tmp_path):
    for file in reversed(NORB.files):
        (tmp_path / file.name).write_bytes(b"")
    assert [path.name for path in find_files(NORB, tmp_path)] == [file.name for file in NORB.files]


def test_one_file_of_several_is_not_enough(tmp_path):
    (tmp_path / "x").write_bytes(b"")
    with pytest.raises(DataFileError, match="smallnorb has 6 files; give the folder that holds smallnorb-5x46789"):
        find_files(NORB, tmp_path / "x")


def test_a_missing_set_says_how_to_get_it():
    with pytest.raises(DataFileError, match="`topdis-gan data fetch 3dshapes` downloads it"):
        find_files(INFO)
    with pytest.raises(DataFileError, match="its authors send it"):
        find_files(CATALOGUE["3dfaces"])


def test_a_wrong_path_is_said(tmp_path):
    with pytest.raises(DataFileError, match="no file or folder at"):
        find_files(INFO, tmp_path / "nothing")
    with pytest.raises(DataFileError, match=r"holds no basel_face_renders\.pth"):
        find_files(small_info("3dfaces", (1, 1, 1, 1)), tmp_path)
