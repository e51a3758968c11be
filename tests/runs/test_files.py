import hashlib
import json
import os
import stat
import subprocess
import sys
import time

import numpy as np
import pytest

from ganspace_topdis.errors import RunFolderError
from ganspace_topdis.runs import files
from ganspace_topdis.runs.files import FolderLock, lock_holder, write_json

POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows has no such locks")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_written_bytes_text_and_json_can_be_read(tmp_path):
    assert files.write_bytes(tmp_path / "a", b"\0\xff").read_bytes() == b"\0\xff"
    assert files.write_text(tmp_path / "b", "größer").read_text(encoding="utf-8") == "größer"
    assert files.write_json(tmp_path / "c", {"x": [1, 2.5]}).read_text(encoding="utf-8").endswith("}\n")


def test_writing_replaces_the_file_and_leaves_no_temporary_file(tmp_path):
    files.write_bytes(tmp_path / "a", b"old")
    files.write_bytes(tmp_path / "a", b"new")
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"new"


def test_a_full_disk_keeps_the_old_file_and_the_error_names_it(tmp_path, full_disk):
    path = files.write_bytes(tmp_path / "a", b"old")
    with full_disk(1000), pytest.raises(RunFolderError, match=str(path)):
        files.write_bytes(path, bytes(2000))
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_a_file_in_a_read_only_folder_raises_a_typed_error(read_only):
    with read_only() as folder, pytest.raises(RunFolderError, match="Permission denied"):
        files.write_bytes(folder / "a", b"x")


def test_a_file_in_a_missing_folder_raises_a_typed_error(tmp_path):
    with pytest.raises(RunFolderError, match="No such file"):
        files.write_bytes(tmp_path / "missing" / "a", b"x")


def test_a_folder_is_not_replaced_by_a_file(tmp_path):
    with pytest.raises(RunFolderError, match="not a plain file"):
        files.write_bytes(tmp_path, b"x")


def test_the_target_of_a_symbolic_link_is_replaced_and_the_link_stays(tmp_path):
    files.write_bytes(tmp_path / "target", b"old")
    (tmp_path / "link").symlink_to("target")
    files.write_bytes(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"new"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_permissions_come_from_the_replaced_file_or_the_umask(tmp_path):
    path = files.write_bytes(tmp_path / "a", b"x")
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    path.chmod(0o600)
    files.write_bytes(path, b"y")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_nan_is_not_written_as_json(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "a", {"x": float("nan")})


def test_sha256_of_a_file_is_that_of_its_bytes(tmp_path):
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


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256"])
def test_any_hash_of_a_file_is_that_of_its_bytes(tmp_path, algorithm):
    path = files.write_bytes(tmp_path / "a", bytes(3_000_000))
    assert files.hash_file(path, algorithm) == hashlib.new(algorithm, bytes(3_000_000)).hexdigest()


def test_the_git_hash_is_that_of_git_hash_object(tmp_path):
    path = files.write_bytes(tmp_path / "a", b"hello\n")
    assert files.hash_file(path, "git_sha1") == "ce013625030ba8dba906f756967f9e9ca394464a"


def test_a_process_killed_while_writing_leaves_a_complete_file(tmp_path):
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


def test_the_error_names_a_folder_that_cannot_be_created(tmp_path):
    assert files.make_folder(tmp_path / "a/b") == tmp_path / "a/b"
    assert (tmp_path / "a/b").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(RunFolderError, match=r"cannot make .*file/b: .*; choose another `out`"):
        files.make_folder(tmp_path / "file/b")


def test_a_temporary_file_is_a_leftover_after_its_process_has_ended():
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert files.is_leftover(f".a.json.{ended.pid}.x1y_2z.tmp")
    assert files.is_leftover(f".a.json.{os.getpid()}.x1y_2z.tmp")  # an earlier process with the same ID
    assert not files.is_leftover(f".a.json.{os.getppid()}.x1y_2z.tmp")
    assert files.is_leftover(".status.json.spare.tmp")
    assert not files.is_leftover("a.json.tmp")


def test_a_file_set_aside_takes_a_free_name_and_replaces_nothing(tmp_path):
    for content in ("one", "two", "three"):
        (tmp_path / "scores.json").write_text(content)
        files.set_aside(tmp_path / "scores.json")
    kept = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert kept == {"scores.json.aside": "one", "scores.json.aside-2": "two", "scores.json.aside-3": "three"}


HOLDER = """
import sys, time
from pathlib import Path
from ganspace_topdis.runs.files import FolderLock
lock = FolderLock(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield process
        process.kill()


@POSIX
def test_a_second_process_is_refused_and_told_the_id_of_the_first(tmp_path, holder):
    with pytest.raises(RunFolderError, match=f"in use by process {holder.pid}"):
        FolderLock(tmp_path)
    assert lock_holder(tmp_path) == str(holder.pid)


@POSIX
def test_a_killed_process_releases_its_lock(tmp_path, holder):
    holder.kill()
    holder.wait()
    assert lock_holder(tmp_path) is None
    FolderLock(tmp_path).release()


@POSIX
def test_a_lock_can_be_released_twice_and_taken_again(tmp_path):
    lock = FolderLock(tmp_path)
    lock.release()
    lock.release()
    FolderLock(tmp_path).release()


@POSIX
def test_a_with_block_releases_the_lock_on_error(tmp_path):
    with pytest.raises(KeyError), FolderLock(tmp_path):
        raise KeyError
    FolderLock(tmp_path).release()


@POSIX
def test_asking_for_the_holder_creates_no_file(tmp_path):
    assert lock_holder(tmp_path) is None
    assert not list(tmp_path.iterdir())


@POSIX
def test_a_read_only_folder_cannot_be_locked(read_only):
    with read_only() as folder, pytest.raises(RunFolderError, match="Permission denied"):
        FolderLock(folder)


def test_names_that_are_no_utf_8_are_written_as_json_escapes_them(tmp_path):
    name = os.fsdecode(b"run\xe9")
    path = write_json(tmp_path / "record.json", {"out": name, "text": "caf\u00e9"})
    assert json.loads(path.read_text(encoding="utf-8")) == {"out": name, "text": "caf\u00e9"}
