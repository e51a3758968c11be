import os
import subprocess
import sys

import pytest

from ganspace_topdis.errors import RunFolderError
from ganspace_topdis.runs.lock import FolderLock, lock_holder

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such lock")

HOLDER = """
import sys, time
from pathlib import Path
from ganspace_topdis.runs.lock import FolderLock
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


def test_a_second_process_is_refused_with_the_number_of_the_first(tmp_path, holder):
    with pytest.raises(RunFolderError, match=f"in use by process {holder.pid}"):
        FolderLock(tmp_path)
    assert lock_holder(tmp_path) == str(holder.pid)


def test_a_killed_process_leaves_the_folder_free(tmp_path, holder):
    holder.kill()
    holder.wait()
    assert lock_holder(tmp_path) is None
    FolderLock(tmp_path).release()


def test_releasing_frees_the_folder_and_may_be_done_twice(tmp_path):
    lock = FolderLock(tmp_path)
    lock.release()
    lock.release()
    FolderLock(tmp_path).release()


def test_looking_who_holds_it_makes_no_file(tmp_path):
    assert lock_holder(tmp_path) is None
    assert not list(tmp_path.iterdir())


def test_a_read_only_folder_is_one_clear_error(read_only):
    with read_only() as folder, pytest.raises(RunFolderError, match="Permission denied"):
        FolderLock(folder)
