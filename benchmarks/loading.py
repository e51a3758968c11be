"""Time and memory of loading a weight file: python benchmarks/loading.py

Writes config-f networks as each project would (through the writers of the tests), and loads each file in a new process
three times, of which the fastest counts: the file is then in the system's cache. The memory is the growth
of the process's peak over what it was before `stylegan2.load`, in multiples of the file's size (Linux only).
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from stylegan2 import Generator, save  # noqa: E402
from tests.stylegan2.foreign_files import flat_tensors, tensorflow_bytes, torch_bytes  # noqa: E402
from tests.stylegan2.nvidia_files import persistent_tree, snapshot_bytes  # noqa: E402

LOAD = """
import json, re, sys, time
from pathlib import Path
import stylegan2, stylegan2.loading  # the latter imports torch, which is not to be measured
def peak():
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
before, start = peak(), time.perf_counter()
stylegan2.load(sys.argv[1])
seconds = time.perf_counter() - start
print(json.dumps([seconds, peak() - before]))
"""
KINDS = ("nvidia", "nvidia-with-training", "tensorflow", "rosinality", "ours")


def write(kind: str, folder: Path, resolution: int) -> Path:
    """A config-f network of random weights as `kind` stores one."""
    torch.manual_seed(0)
    generator = Generator(img_resolution=resolution).eval().requires_grad_(False)
    path = folder / kind
    if kind == "ours":
        return save(generator, path)
    if kind == "nvidia":
        path.write_bytes(snapshot_bytes(generator))
    elif kind == "nvidia-with-training":  # as published: G and D beside G_ema
        others = persistent_tree(generator), persistent_tree(generator)
        path.write_bytes(snapshot_bytes(generator, others=others))
    elif kind == "tensorflow":
        path.write_bytes(tensorflow_bytes(generator))
    else:
        content = {"g_ema": flat_tensors(generator, "rosinality"), "latent_avg": generator.mapping.w_avg}
        path.write_bytes(torch_bytes(content))
    return path


def load(path: Path) -> tuple[float, int]:
    """Seconds, and the growth of the peak in bytes."""
    run = subprocess.run([sys.executable, "-c", LOAD, str(path)], capture_output=True, text=True, check=True, cwd=ROOT)
    seconds, grown = json.loads(run.stdout)
    return seconds, grown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resolution", type=int, default=256)
    parser.add_argument("--kind", choices=KINDS, nargs="+", default=KINDS)
    options = parser.parse_args()
    print(f"config-f, {options.resolution} px, torch {torch.__version__}")
    print("| file | MB | seconds | memory, times the file |\n|---|---|---|---|")
    for kind in options.kind:
        with tempfile.TemporaryDirectory() as folder:
            path = write(kind, Path(folder), options.resolution)
            size = path.stat().st_size
            seconds, grown = min(load(path) for _ in range(3))
            print(f"| {kind} | {size / 1e6:.0f} | {seconds:.2f} | {grown / size:.2f} |", flush=True)


if __name__ == "__main__":
    main()
