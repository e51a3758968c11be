import subprocess
import sys

import pytest

SCRIPT = """
import resource, torch
from ganspace_topdis.runs.allocator import reuse_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.zeros(1 << 22).add_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

plain = faults()
assert reuse_freed_memory()
faults()
print(faults() < plain / 4)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator is Linux's")
def test_large_tensors_take_the_pages_of_those_freed_before():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
