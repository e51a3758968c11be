import hashlib
import subprocess

import pytest

from vae.data import sums
from vae.data.catalogue import SourceFile
from vae.data.errors import DataFileError
from vae.data.sums import fingerprint_of, judge, require_published

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
def test_the_published_file_is_accepted_and_another_refused(path, known):
    require_published(path, published(**known))
    path.write_bytes(DATA + b"!")
    with pytest.raises(DataFileError, match=f"the published file has {next(iter(known.values()))}: it is damaged"):
        require_published(path, published(**known))


def test_the_name_that_git_gives_a_file_is_known(path):
    try:
        named = subprocess.run(["git", "hash-object", path], capture_output=True, text=True, check=True).stdout.strip()
    except OSError:
        pytest.skip("git is not installed")
    assert judge(path, published(git_sha1=named)).matches


def test_another_size_is_said_before_any_sum_is_taken(path):
    with pytest.raises(DataFileError, match="has 19 bytes, the published file has 1,000"):
        require_published(path, published(num_bytes=1000))


def test_without_a_known_sum_nothing_is_said(path):
    assert judge(path, published()).matches is None
    require_published(path, published())


def test_a_sum_that_is_not_firm_refuses_nothing(path):
    wrong = published(md5="0" * 32, firm=False)
    require_published(path, wrong)
    assert judge(path, wrong).matches is False


def test_a_good_file_is_summed_once_and_again_when_it_changes(path, tmp_path, monkeypatch):
    known = published(sha256=hashlib.sha256(DATA).hexdigest())
    require_published(path, known, tmp_path / "memory")
    with monkeypatch.context() as patch:
        patch.setattr(sums, "judge", lambda *_: pytest.fail("summed twice"))
        require_published(path, known, tmp_path / "memory")
    path.write_bytes(DATA[::-1])
    with pytest.raises(DataFileError, match="damaged or another file"):
        require_published(path, known, tmp_path / "memory")


def test_a_fingerprint_tells_files_apart_by_size_start_middle_and_end(tmp_path):
    data = bytearray(300_000)
    path = tmp_path / "large"
    seen = set()
    for position in (None, 0, 150_001, 299_999):
        changed = bytearray(data)
        if position is not None:
            changed[position] = 1
        path.write_bytes(changed)
        seen.add(fingerprint_of(path))
    path.write_bytes(data + b"\0")
    seen.add(fingerprint_of(path))
    assert len(seen) == 5
