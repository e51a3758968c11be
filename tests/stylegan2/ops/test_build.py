import ctypes
import os
import re
import shutil
import stat
import subprocess
import sys
import sysconfig
import threading
import time
import warnings
from pathlib import Path

import pytest
import torch
from torch.utils import cpp_extension

from ganspace_topdis.errors import InvalidArgumentError, MissingDependencyError
from stylegan2.ops import build as building
from stylegan2.ops.bias_act import bias_act


def find_nvcc() -> str | None:
    """nvcc on the path, or that of the package nvidia-cuda-nvcc."""
    packaged = sorted(Path(sysconfig.get_path("purelib")).glob("nvidia/cu*/bin/nvcc"))
    return shutil.which("nvcc") or (str(packaged[-1]) if packaged else None)


NVCC = find_nvcc()
NO_NVCC = "no nvcc here: pip install nvidia-cuda-nvcc nvidia-nvvm nvidia-cuda-crt nvidia-cuda-runtime nvidia-cuda-cccl"
FAILING_NVCC = """#!/bin/sh
case "$*" in *--version*) echo "Cuda compilation tools, release 13.0, V13.0.88"; exit 0;; esac
echo "nvcc fatal : unsupported compiler: this one is from the future" >&2
exit 1
"""


@pytest.fixture(autouse=True)
def _fresh(monkeypatch, tmp_path):
    """No earlier attempt, and an extension folder of its own for each test."""
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path / "extensions"))
    monkeypatch.delenv(building.VARIABLE, raising=False)
    building._try_to_build.cache_clear()
    yield
    building._try_to_build.cache_clear()


@pytest.fixture
def pretended_gpu(monkeypatch):
    """Make torch report a GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *_: (9, 0))
    monkeypatch.setenv("TORCH_CUDA_ARCH_LIST", "9.0")


def toolkit(folder, script):
    """A CUDA toolkit whose nvcc is `script`."""
    nvcc = folder / "toolkit" / "bin" / "nvcc"
    nvcc.parent.mkdir(parents=True)
    nvcc.write_text(script)
    nvcc.chmod(nvcc.stat().st_mode | stat.S_IXUSR)
    return str(folder / "toolkit")


def the_warning():
    """Return the single warning of two attempts."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert building.kernels() is None
        assert building.kernels() is None
    texts = [str(warning.message) for warning in caught if "CUDA operations" in str(warning.message)]
    assert len(texts) == 1
    assert "\n" not in texts[0]
    return texts[0]


def test_tensors_on_a_cpu_neither_build_nor_warn():
    assert building.kernels_for(torch.zeros(1, 1)) is None


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_no_gpu_is_one_warning():
    assert "torch sees no CUDA device" in the_warning()


def test_no_nvcc_is_one_warning(monkeypatch, pretended_gpu):
    monkeypatch.setattr(cpp_extension, "CUDA_HOME", None)
    assert "no nvcc was found" in the_warning()


def test_a_failing_compiler_is_one_warning_with_its_message(monkeypatch, tmp_path, pretended_gpu):
    monkeypatch.setattr(cpp_extension, "CUDA_HOME", toolkit(tmp_path, FAILING_NVCC))
    assert "this one is from the future" in the_warning()


def test_no_ninja_is_one_warning(monkeypatch, tmp_path, pretended_gpu):
    monkeypatch.setattr(cpp_extension, "CUDA_HOME", toolkit(tmp_path, FAILING_NVCC))
    monkeypatch.setattr(cpp_extension, "is_ninja_available", lambda: False)
    assert "inja is required" in the_warning()


def test_a_stale_lock_is_one_warning_that_names_it(monkeypatch, tmp_path, pretended_gpu):
    monkeypatch.setattr(cpp_extension, "CUDA_HOME", toolkit(tmp_path, FAILING_NVCC))
    lock = building._folder("unused") / "lock"
    lock.touch()
    os.utime(lock, (1, 1))
    assert str(lock) in the_warning()


def test_a_process_that_loses_the_race_waits_for_the_build_of_the_other(tmp_path):
    lock = tmp_path / "lock"
    lock.touch()
    other = threading.Timer(0.7, lock.unlink)
    other.start()
    since_s = time.monotonic()
    building._refuse_stale_lock(tmp_path)
    assert time.monotonic() - since_s > 0.5
    assert not lock.exists()
    other.join()


def test_off_does_not_build(monkeypatch):
    monkeypatch.setenv(building.VARIABLE, "off")
    assert building.kernels_for(torch.zeros(1, 1)) is None


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_require_is_an_error_of_one_line_and_no_warning(monkeypatch):
    monkeypatch.setenv(building.VARIABLE, "require")
    with pytest.raises(MissingDependencyError, match=r"TOPDIS_CUDA_OPS=require.*torch sees no CUDA device") as caught:
        bias_act(torch.zeros(1, 1))
    assert "\n" not in str(caught.value)


def test_an_unknown_mode_is_refused(monkeypatch):
    monkeypatch.setenv(building.VARIABLE, "on")
    with pytest.raises(InvalidArgumentError, match="auto, off, require"):
        bias_act(torch.zeros(1, 1))


def test_importing_builds_nothing_and_does_not_even_import_the_extension_loader():
    code = "import sys, stylegan2; assert 'torch.utils.cpp_extension' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_sources_are_beside_the_module():
    assert {path.name for path in building.SOURCES.iterdir()} == {"elements.h", "interface.h", "kernels.cu", "tiles.h"}


@pytest.mark.slow  # .ci/run runs it in a step of its own; host_kernels.cpp compiles the same headers in every run
@pytest.mark.skipif(NVCC is None, reason=NO_NVCC)
def test_the_kernels_compile_for_three_generations_of_gpus(tmp_path):
    targets = [f"-gencode=arch=compute_{sm},code=sm_{sm}" for sm in (80, 90, 100)]
    flags = ["-std=c++17", "-O3", "-Xcompiler", "-fPIC", "-Werror", "all-warnings", "-t", "0"]
    command = [NVCC, "-c", *flags, *targets, building.SOURCES / "kernels.cu", "-o", tmp_path / "kernels.o"]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr


@pytest.mark.slow
@pytest.mark.skipif(NVCC is None, reason=NO_NVCC)
def test_the_kernels_load_and_store_16_bytes_at_once_and_read_past_the_writable_cache(tmp_path):
    command = [NVCC, "-std=c++17", "-O3", "-arch=sm_80", "-ptx", building.SOURCES / "kernels.cu", "-o"]
    subprocess.run([*command, tmp_path / "kernels.ptx"], check=True)
    found = set(re.findall(r"(?:ld|st)\.global[a-z0-9.]*", (tmp_path / "kernels.ptx").read_text(encoding="utf-8")))
    assert any(name.startswith("ld.global.nc.v4") for name in found), found
    assert any(name.startswith("st.global.v4") for name in found), found


@pytest.mark.slow
@pytest.mark.skipif(NVCC is None or sys.platform != "linux", reason="no nvcc here")
def test_torchs_loader_builds_a_library_with_all_functions(monkeypatch, tmp_path, pretended_gpu):
    """torch's CPU build lacks two libraries to link with. Empty ones replace them, because nothing in them is used."""
    for name in ("c10_cuda", "torch_cuda"):
        empty = ["g++", "-shared", "-x", "c++", os.devnull, "-o", tmp_path / f"lib{name}.so"]
        subprocess.run(empty, check=True)
    monkeypatch.setenv("LIBRARY_PATH", str(tmp_path))
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    monkeypatch.setattr(cpp_extension, "CUDA_HOME", os.path.realpath("/usr/local/cuda"))
    for name in ("c10_cuda", "torch_cuda"):
        ctypes.CDLL(str(tmp_path / f"lib{name}.so"), mode=ctypes.RTLD_GLOBAL)
    library = building.build()._library
    assert library.topdis_bias_act
    assert library.topdis_bias_act_gradient
    assert library.topdis_upfirdn2d
    assert library.topdis_upfirdn2d_separable
    assert library.topdis_error_text
