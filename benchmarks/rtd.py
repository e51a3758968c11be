"""Times the R-Cross-Barcode of this package beside five other programs, and checks that all agree.

    OMP_NUM_THREADS=1 python -m benchmarks.rtd [--sizes 32,64,...] [--clouds smooth,iid2,...] [--seconds 60]

Every program gets the same pair of float32 matrices (A, min(A, B)). This engine runs on one thread, giotto-ph on
two and with generators (it names the edges too), Oineus on two, ripser.py, canns-ripser and GUDHI on one. Each figure
is the shortest of several runs, or one run where that takes a tenth of the time limit; ratios come from one run of
this file. A program is left out of the sizes that would exceed the time limit, and all but this engine of those not
named by `--programs`.
`--plot FILE` draws the table; `--loss` times a whole TopDis loss, `--start` a fresh process.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ganspace_topdis.topology import CrossBarcode, RTDLoss, cross_barcode
from ganspace_topdis.topology.backend import doubled_matrix
from ganspace_topdis.topology.distances import normalized_distances
from ganspace_topdis.topology.total_persistence import PersistenceOptions, total_persistence

CLOUDS = ("smooth", "iid2", "iid10", "iid200", "iid4096", "images")
Diagram = NDArray[np.float64]
Program = Callable[[NDArray, NDArray], Diagram | CrossBarcode]


def cloud_pair(kind: str, n: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Two clouds of n points: a decoder's features or images before and after a latent shift, or independent."""
    generator = torch.Generator().manual_seed(seed)
    if kind.startswith("iid"):
        d = int(kind[3:])
        return torch.randn(n, d, generator=generator), torch.randn(n, d, generator=generator)
    codes = torch.randn(n, 10, generator=generator)
    shifted = codes.clone()
    shifted[:, 0] += 0.7
    decode = smooth_decoder(generator) if kind == "smooth" else image_decoder(generator)
    return decode(codes), decode(shifted)


def smooth_decoder(generator: torch.Generator) -> Callable[[torch.Tensor], torch.Tensor]:
    first = 0.4 * torch.randn(10, 64, generator=generator)
    second = 0.3 * torch.randn(64, 200, generator=generator)
    return lambda codes: torch.tanh(torch.tanh(codes @ first) @ second)


def image_decoder(generator: torch.Generator) -> Callable[[torch.Tensor], torch.Tensor]:
    """A random decoder to images 3 x 64 x 64 of soft blobs, whose positions and colors follow the code."""
    weights = torch.randn(10, 5 * 6, generator=generator) * 0.4
    grid = torch.stack(torch.meshgrid(*2 * [torch.linspace(-2, 2, 64)], indexing="ij"))

    def decode(codes: torch.Tensor) -> torch.Tensor:
        blobs = (codes @ weights).reshape(-1, 6, 5)
        offset = grid[None, None] - blobs[..., :2, None, None]
        mask = torch.exp(-4 * offset.square().sum(dim=2))
        return torch.einsum("nbhw,nbc->nchw", mask, torch.tanh(blobs[..., 2:])).flatten(1)

    return decode


def matrices(kind: str, n: int, seed: int = 0) -> tuple[NDArray, NDArray]:
    """(A, min(A, B)) of a pair of clouds, float32."""
    A, B = (normalized_distances(c).numpy() for c in cloud_pair(kind, n, seed))
    return A, np.minimum(A, B)


def by_giotto_ph(outer: NDArray, inner: NDArray) -> Diagram:
    from gph import ripser_parallel

    doubled = doubled_matrix(outer, inner).astype(np.float32)
    return ripser_parallel(doubled, metric="precomputed", maxdim=1, n_threads=2, return_generators=True)["dgms"][1]


def by_ripser(outer: NDArray, inner: NDArray) -> Diagram:
    from ripser import ripser

    return ripser(doubled_matrix(outer, inner), distance_matrix=True, maxdim=1)["dgms"][1]


def by_gudhi(outer: NDArray, inner: NDArray) -> Diagram:
    import gudhi

    tree = gudhi.RipsComplex(distance_matrix=doubled_matrix(outer, inner)).create_simplex_tree(max_dimension=2)
    tree.compute_persistence()
    return np.asarray(tree.persistence_intervals_in_dimension(1)).reshape(-1, 2)


def by_oineus(outer: NDArray, inner: NDArray) -> Diagram:
    import oineus

    doubled = doubled_matrix(outer, inner)
    parameters = oineus.ReductionParams()
    parameters.n_threads = 2
    radius = float(doubled.max(axis=1).min())
    found = oineus.compute_diagrams_vr(doubled, from_pwdists=True, max_dim=2, max_diameter=radius, params=parameters)
    return np.asarray(found.in_dimension(1)).reshape(-1, 2)


def by_canns_ripser(outer: NDArray, inner: NDArray) -> Diagram:
    from canns_ripser import ripser

    return ripser(doubled_matrix(outer, inner), distance_matrix=True, maxdim=1)["dgms"][1]


PROGRAMS: dict[str, Program] = {
    "this engine": cross_barcode,
    "giotto-ph": by_giotto_ph,
    "ripser.py": by_ripser,
    "canns-ripser": by_canns_ripser,
    "Oineus": by_oineus,
    "GUDHI": by_gudhi,
}
GROWTH = {"this engine": 3.0, "giotto-ph": 5.0, "ripser.py": 5.0, "canns-ripser": 5.0, "Oineus": 8.0, "GUDHI": 8.0}


def canonical(diagram: Diagram | CrossBarcode) -> Diagram:
    """(K, 2) births and deaths in lexicographic order."""
    if isinstance(diagram, CrossBarcode):
        diagram = np.stack([diagram.births, diagram.deaths], axis=1)
    bars = np.asarray(diagram, np.float64)
    bars = bars[bars[:, 1] > bars[:, 0]]
    return bars[np.lexsort((bars[:, 1], bars[:, 0]))]


def shortest_s(run: Callable[[], object], limit_s: float) -> float:
    """The shortest of up to 200 runs within a tenth of the limit."""
    times: list[float] = []
    while len(times) < 200 and (sum(times) < limit_s / 10):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def compare(
    sizes: list[int], kinds: list[str], programs: dict[str, Program], limit_s: float
) -> list[dict[str, float | str]]:
    """Prints a line and returns a row for each size and kind of clouds."""
    rows = []
    for program in programs.values():
        program(*matrices("iid2", 8))  # loads and compiles, which is not to be timed
    print(f"| N | clouds | bars | {', ms | '.join(PROGRAMS)}, ms | giotto-ph / this |")
    print(f"|{'---|' * (len(PROGRAMS) + 4)}")
    for kind in kinds:
        expected_s = dict.fromkeys(PROGRAMS, 0.0)
        for n in sizes:
            outer, inner = matrices(kind, n)
            own = canonical(cross_barcode(outer, inner))
            row: dict[str, float | str] = {"N": n, "clouds": kind}
            for name, program in programs.items():
                if expected_s[name] > limit_s:
                    continue
                start = time.perf_counter()
                found = program(outer, inner)
                duration_s = time.perf_counter() - start
                theirs = canonical(found)
                assert theirs.shape == own.shape, f"{name} disagrees on {kind}, N = {n}"
                np.testing.assert_allclose(theirs, own, atol=1e-6)
                if duration_s < limit_s / 10:
                    duration_s = shortest_s(lambda p=program, o=outer, i=inner: p(o, i), limit_s)  # type: ignore[misc]
                row[name], expected_s[name] = duration_s, duration_s * GROWTH[name]
            rows.append(row)
            cells = [f"{row[name] * 1e3:.3g}" if name in row else "-" for name in PROGRAMS]  # type: ignore[operator]
            ratio = f"{row['giotto-ph'] / row['this engine']:.0f}" if "giotto-ph" in row else "-"  # type: ignore[operator]
            print(f"| {n} | {kind} | {len(own)} | {' | '.join(cells)} | {ratio} |", flush=True)
    return rows


def large(kinds: list[str]) -> None:
    """Times N = 1024 and 4096 against NumPy's sorting of the same edges; prints growth and peak memory."""
    for kind in kinds:
        seconds = {}
        for n in (1024, 4096):
            outer, inner = matrices(kind, n)
            edges = inner[np.triu_indices(n, 1)]
            seconds[n] = shortest_s(lambda a=outer, b=inner: cross_barcode(a, b), 10)  # type: ignore[misc]
            sorting = {
                name: shortest_s(lambda f=f, e=edges: f(e), 5)  # type: ignore[misc]
                for name, f in (("sort", np.sort), ("argsort", np.argsort))
            }
            print(
                f"{kind}, N = {n}: {seconds[n]:.3f} s; numpy sort {sorting['sort']:.3f} s (ratio "
                f"{seconds[n] / sorting['sort']:.1f}), argsort {sorting['argsort']:.3f} s (ratio "
                f"{seconds[n] / sorting['argsort']:.1f})"
            )
        peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        exponent = np.log(seconds[4096] / seconds[1024]) / np.log(4)
        print(f"{kind}: growth N^{exponent:.2f}; peak memory of this process so far {peak_gb:.2f} GB", flush=True)


def loss_times(n: int = 64) -> None:
    """Times one TopDis loss on images 3 x 64 x 64, forward and backward, and the barcodes' part of it."""
    x, y = (c.requires_grad_() for c in cloud_pair("images", n))
    loss = RTDLoss()
    distances = torch.stack([normalized_distances(c) for c in (x, y)])[:, None].detach().numpy()
    options = PersistenceOptions(kinds=("min", "max"), symmetric=True, p=1, max_bars=None, immovable=False)
    whole = shortest_s(lambda: loss(x, y).backward(), 20)
    bars = shortest_s(lambda: total_persistence([distances], options), 20)
    print(f"TopDis loss, N = {n}, images 3 x 64 x 64, forward and backward: {whole * 1e3:.2f} ms")
    print(f"of it four barcodes with their gradient: {bars * 1e3:.2f} ms ({bars / whole:.0%})")


def start_times() -> None:
    """Times the first barcode of a fresh process, above the import, without and with numba's cache on disk."""
    program = (
        "import time, numpy as np; from ganspace_topdis.topology import cross_barcode;"
        "a = np.ones((8, 8), np.float32) - np.eye(8, dtype=np.float32); start = time.perf_counter();"
        "cross_barcode(a, a / 2); print(time.perf_counter() - start)"
    )
    with tempfile.TemporaryDirectory() as folder:
        for state in ("cold, compiling", "warm cache"):
            run = subprocess.run(
                [sys.executable, "-c", program],
                env={"NUMBA_CACHE_DIR": folder, "PATH": "", "OMP_NUM_THREADS": "1"},
                cwd=Path(__file__).parents[1],
                capture_output=True,
                text=True,
                check=True,
            )
            print(f"first barcode of a fresh process, above import, {state}: {float(run.stdout):.2f} s")


def plot(rows: list[dict[str, float | str]], path: Path) -> None:
    """Draws time over N, one line per program, one panel per kind of clouds."""
    from matplotlib.figure import Figure

    kinds = list(dict.fromkeys(str(row["clouds"]) for row in rows))
    figure = Figure(figsize=(3.2 * len(kinds), 3.4), layout="constrained")
    for axis, kind in zip(figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0], kinds, strict=True):
        for name in PROGRAMS:
            points = [(row["N"], 1e3 * row[name]) for row in rows if row["clouds"] == kind and name in row]  # type: ignore[operator]
            axis.loglog(*zip(*points, strict=True), marker="o", markersize=3, label=name)
        axis.set_title(kind, fontsize=10)
        axis.set_xlabel("N")
        axis.grid(alpha=0.3)
    figure.axes[0].set_ylabel("time of one barcode, ms")
    figure.axes[0].legend(fontsize=8)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="32,64,128,256,512,1024,2048,4096")
    parser.add_argument("--clouds", default=",".join(CLOUDS))
    parser.add_argument("--seconds", type=float, default=60, help="time limit of one run of one program")
    parser.add_argument("--programs", default=",".join(PROGRAMS), help="which to run beside this engine")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--large", action="store_true", help="only N = 1024 and 4096, beside NumPy's sorting")
    parser.add_argument("--loss", action="store_true", help="only a whole TopDis loss")
    parser.add_argument("--start", action="store_true", help="only the first call of a fresh process")
    options = parser.parse_args()
    torch.set_num_threads(1)
    kinds = options.clouds.split(",")
    if options.loss:
        loss_times()
    elif options.start:
        start_times()
    elif options.large:
        large(kinds)
    else:
        chosen = ["this engine", *options.programs.split(",")]
        programs = {name: program for name, program in PROGRAMS.items() if name in chosen}
        rows = compare([int(n) for n in options.sizes.split(",")], kinds, programs, options.seconds)
        if options.plot:
            plot(rows, options.plot)


if __name__ == "__main__":
    main()
