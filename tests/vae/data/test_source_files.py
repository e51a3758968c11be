import hashlib
import subprocess

import pytest

from tests.vae.data.published import small_info
from vae.data import source_files
from vae.data.catalog import CATALOG, SourceFile
from vae.data.source_files import DataFileError, checksum_difference, file_fingerprint, find_files, verify_checksum

INFO = CATALOG["3dshapes"]
NORB = CATALOG["smallnorb"]


def test_a_given_file_may_have_any_name(tmp_path):
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
    monkeypatch.setattr("vae.data.source_files.cached_file", lambda url, kind: tmp_path / kind / url.rpartition("/")[2])
    assert find_files(INFO) == (tmp_path / "data" / "3dshapes.h5",)


def test_the_files_of_a_set_keep_their_order(tmp_path):
    for file in reversed(NORB.files):
        (tmp_path / file.name).write_bytes(b"")
    assert [path.name for path in find_files(NORB, tmp_path)] == [file.name for file in NORB.files]


def test_one_file_of_several_is_not_enough(tmp_path):
    (tmp_path / "x").write_bytes(b"")
    with pytest.raises(DataFileError, match="smallnorb has 6 files; give the folder that holds smallnorb-5x46789"):
        find_files(NORB, tmp_path / "x")


def test_the_error_for_a_missing_set_explains_how_to_get_it():
    with pytest.raises(DataFileError, match="`topdis-gan data fetch 3dshapes` downloads it"):
        find_files(INFO)
    with pytest.raises(DataFileError, match="its authors send it"):
        find_files(CATALOG["3dfaces"])


def test_the_error_names_a_wrong_path(tmp_path):
    with pytest.raises(DataFileError, match="no file or folder at"):
        find_files(INFO, tmp_path / "nothing")
    with pytest.raises(DataFileError, match=r"holds no basel_face_renders\.pth"):
        find_files(small_info("3dfaces", (1, 1, 1, 1)), tmp_path)


DATA = b"the published bytes"


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(DATA)
    return path


def published(**sums):
    return SourceFile(name="file", **sums)


@pytest.mark.parametrize(
    "known", [{"sha256": hashlib.sha256(DATA).hexdigest()}, {"md5": hashlib.md5(DATA).hexdigest()}]
)
def test_another_file_than_the_published_one_is_described_by_both_checksums(path, known):
    assert checksum_difference(path, published(**known)) is None
    path.write_bytes(DATA + b"!")
    difference = checksum_difference(path, published(**known)) or ""
    assert difference.endswith(f"the published file has {next(iter(known.values()))}")


def test_the_git_hash_of_a_file_is_verified(path):
    try:
        named = subprocess.run(["git", "hash-object", path], capture_output=True, text=True, check=True).stdout.strip()
    except OSError:
        pytest.skip("git is not installed")
    assert verify_checksum(path, published(git_sha1=named)).matches


def test_a_wrong_size_is_found_before_a_checksum_is_computed(path, monkeypatch):
    monkeypatch.setattr(source_files, "verify_checksum", lambda *_: pytest.fail("summed"))
    difference = checksum_difference(path, published(num_bytes=1000, md5="0" * 32)) or ""
    assert difference.endswith("has 19 bytes, the published file has 1,000")


@pytest.mark.parametrize("known", [{}, {"md5": "0" * 32, "pinned": False}])
def test_a_file_without_a_valid_checksum_is_never_taken_for_the_published_one(path, known):
    assert "no valid checksum is known" in (checksum_difference(path, published(**known)) or "")


def test_a_checksum_of_an_earlier_upload_is_compared_on_demand(path):
    assert verify_checksum(path, published(md5="0" * 32, pinned=False)).matches is False
    assert verify_checksum(path, published()).matches is None


def test_a_verified_file_is_verified_again_only_when_it_changes(path, tmp_path, monkeypatch):
    known = published(sha256=hashlib.sha256(DATA).hexdigest())
    assert checksum_difference(path, known, tmp_path / "memory") is None
    with monkeypatch.context() as patch:
        patch.setattr(source_files, "verify_checksum", lambda *_: pytest.fail("summed twice"))
        assert checksum_difference(path, known, tmp_path / "memory") is None
    path.write_bytes(DATA[::-1])
    assert "has the sha256" in (checksum_difference(path, known, tmp_path / "memory") or "")


def test_a_fingerprint_depends_on_size_start_middle_and_end(tmp_path):
    data = bytearray(300_000)
    path = tmp_path / "large"
    seen = set()
    for position in (None, 0, 150_001, 299_999):
        changed = bytearray(data)
        if position is not None:
            changed[position] = 1
        path.write_bytes(changed)
        seen.add(file_fingerprint(path))
    path.write_bytes(data + b"\0")
    seen.add(file_fingerprint(path))
    assert len(seen) == 5
