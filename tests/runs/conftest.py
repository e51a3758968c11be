import contextlib
import os
import shutil
import tempfile
from pathlib import Path

import pytest

NOBODY = 65534


@pytest.fixture
def full_disk():
    """A context in which no file can grow beyond `num_bytes`: what a full disk does, without one."""
    resource = pytest.importorskip("resource", reason="this system has no resource limits")

    @contextlib.contextmanager
    def limit(num_bytes):
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limit


@pytest.fixture
def read_only():
    """A context that gives a folder that this process cannot write in, even when run as root."""
    if os.name == "nt":
        pytest.skip("Windows has no read-only folders")

    @contextlib.contextmanager
    def make(prepare=lambda folder: None):
        folder = Path(tempfile.mkdtemp())
        prepare(folder)
        folder.chmod(0o555)
        root = os.geteuid() == 0
        if root:
            os.seteuid(NOBODY)
        try:
            yield folder
        finally:
            if root:
                os.seteuid(0)
            folder.chmod(0o755)
            shutil.rmtree(folder)

    return make
