import hashlib
import os
import stat
import subprocess
import sys
import time

import numpy as np
import pytest

from ganspace_topdis.errors import RunFolderError
from ganspace_topdis.runs import files


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_written_bytes_text_and_json_read_back(tmp_path):
    assert files.write_bytes(tmp_path / "a", b"\0\xff").read_bytes() == b"\0\xff"
    assert files.write_text(tmp_path / "b", "größer").read_text(encoding="utf-8") == "größer"
    assert files.write_json(tmp_path / "c", {"x": [1, 2.5]}).read_text(encoding="utf-8").endswith("}\n")


def test_writing_replaces_the_file_and_leaves_nothing_beside_it(tmp_path):
    files.write_bytes(tmp_path / "a", b"old")
    files.write_bytes(tmp_path / "a", b"new")
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"new"


def test_a_full_disk_keeps_the_old_file_and_says_which(tmp_path, full_disk):
    path = files.write_bytes(tmp_path / "a", b"old")
    with full_disk(1000), pytest.raises(RunFolderError, match=str(path)):
        files.write_bytes(path, bytes(2000))
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_a_read_only_folder_is_one_clear_error(read_only):
    with read_only() as folder, pytest.raises(RunFolderError, match="Permission denied"):
        files.write_bytes(folder / "a", b"x")


def test_a_missing_folder_is_one_clear_error(tmp_path):
    with pytest.raises(RunFolderError, match="No such file"):
        files.write_bytes(tmp_path / "missing" / "a", b"x")


def test_a_folder_in_the_file_s_place_is_refused(tmp_path):
    with pytest.raises(RunFolderError, match="not a plain file"):
        files.write_bytes(tmp_path, b"x")


def test_a_link_is_followed_and_stays_a_link(tmp_path):
    files.write_bytes(tmp_path / "target", b"old")
    (tmp_path / "link").symlink_to("target")
    files.write_bytes(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"new"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_permissions_are_those_of_the_replaced_file_or_of_the_umask(tmp_path):
    path = files.write_bytes(tmp_path / "a", b"x")
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    path.chmod(0o600)
    files.write_bytes(path, b"y")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_numbers_that_json_does_not_know_are_refused(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "a", {"x": float("nan")})


def test_sha256_is_that_of_the_bytes(tmp_path):
    path = files.write_bytes(tmp_path / "a", bytes(3_000_000))
    assert files.sha256_of(path) == hashlib.sha256(bytes(3_000_000)).hexdigest()


KILLED_WHILE_WRITING = """
import sys
from ganspace_topdis.runs.files import write_bytes
print("ready", flush=True)
while True:
    for byte in (b"a", b"b"):
        write_bytes(sys.argv[1], byte * 1_000_000)
"""


def test_a_process_killed_while_writing_leaves_a_whole_file(tmp_path):
    path = tmp_path / "a"
    for delay_s in (0.0, 0.011, 0.023):
        files.write_bytes(path, b"a" * 1_000_000)
        arguments = [sys.executable, "-c", KILLED_WHILE_WRITING, str(path)]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            time.sleep(delay_s)
            process.kill()
        assert path.read_bytes() in (b"a" * 1_000_000, b"b" * 1_000_000)


def test_a_written_array_reads_back_without_pickle(tmp_path):
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    read = np.load(files.write_array(tmp_path / "a.npy", array), allow_pickle=False)
    assert read.dtype == array.dtype
    assert (read == array).all()


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    assert files.make_folder(tmp_path / "a/b") == tmp_path / "a/b"
    assert (tmp_path / "a/b").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(RunFolderError, match=r"cannot make .*file/b: .*; choose another --out"):
        files.make_folder(tmp_path / "file/b")


def test_a_temporary_file_is_left_over_once_its_process_is_gone():
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert files.is_leftover(f".a.json.{gone.pid}.x1y_2z.tmp")
    assert files.is_leftover(f".a.json.{os.getpid()}.x1y_2z.tmp")  # a process of before, with this one's number
    assert not files.is_leftover(f".a.json.{os.getppid()}.x1y_2z.tmp")
    assert files.is_leftover(".status.json.spare.tmp")
    assert not files.is_leftover("a.json.tmp")


def test_a_file_set_aside_takes_a_free_name_and_replaces_nothing(tmp_path):
    for content in ("one", "two", "three"):
        (tmp_path / "scores.json").write_text(content)
        files.set_aside(tmp_path / "scores.json")
    kept = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert kept == {"scores.json.aside": "one", "scores.json.aside-2": "two", "scores.json.aside-3": "three"}
