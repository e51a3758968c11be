"""Every method of finding directions, measured against the truth, over several seeds.

    python benchmarks/directions.py hand-built --seeds 5
    python benchmarks/directions.py scenes --seeds 5

hand-built: a generator whose six directions are known exactly; the score is |cos| to the matched true direction.
scenes: the packaged adversarial generator; the scores are the diagonal share of the re-scoring matrix and
Spearman's correlation along the path, mean over the six factors, read by the packaged factor network. The oracle
row is what regression of the readings on the codes gives. Prints a Markdown table: mean and standard deviation
over seeds.
"""

import argparse
import time
from collections.abc import Callable

import torch

from ganspace_topdis.discovery import Discovery, DiscoverySettings
from ganspace_topdis.discovery.baselines import coordinate_axes, ganspace, sefa
from ganspace_topdis.evaluation.factor_network import FactorNetwork
from ganspace_topdis.evaluation.hand_built import HandBuiltGenerator
from ganspace_topdis.evaluation.recovery import recovery
from ganspace_topdis.evaluation.rescoring import oracle, rescore
from ganspace_topdis.latent.directions import Directions
from stylegan2 import load
from stylegan2.commands.closed_forms import style_weights
from stylegan2.loading import ASSETS
from stylegan2.space import WSpace

Rows = dict[str, list[tuple[float, ...]]]


def hand_built(seed: int, steps: int) -> Rows:
    """|cos|: mean over the six axes, worst axis, and seconds."""
    generator = HandBuiltGenerator(seed=seed)
    settings = DiscoverySettings(span="identity", num_directions=6, steps=steps, seed=seed)
    since = time.monotonic()
    search = Discovery(generator, generator.sample_codes, settings)
    while not search.finished:
        search.step()
    seconds = time.monotonic() - since
    codes = generator.sample_codes(10_000, torch.Generator().manual_seed(seed))
    found = {
        "random": search.directions(search.start),
        "ganspace": ganspace(codes, 6),
        "axes": coordinate_axes(codes, 6),
        "topdis": search.directions(),
    }
    found_again = {name: recovery(each.vectors, generator.true_directions) for name, each in found.items()}
    return {name: [(r.mean, r.worst, seconds if name == "topdis" else 0.0)] for name, r in found_again.items()}


def scenes(seed: int, steps: int) -> Rows:
    """Diagonal share and Spearman, means over the six factors, and seconds."""
    space = WSpace(generator=load("scenes"), resolution=16)
    network = FactorNetwork.load(ASSETS / "scenes_factors.safetensors")
    rng = torch.Generator().manual_seed(10_000 + seed)
    with torch.no_grad():
        judged, many = space.sample_codes(200, rng), space.sample_codes(4000, rng)
    since = time.monotonic()
    search = Discovery(space.features, space.sample_codes, DiscoverySettings(steps=steps, seed=seed))
    while not search.finished:
        search.step()
    seconds, size = time.monotonic() - since, search.span.size
    found: dict[str, Callable[[], Directions]] = {
        "random": lambda: search.directions(search.start),
        "axes": lambda: coordinate_axes(many, size),
        "sefa": lambda: sefa(style_weights(space), many, size),
        "ganspace": lambda: ganspace(many, size),
        "span-axes": lambda: search.directions(torch.eye(size)),
        "topdis": search.directions,
        "oracle": lambda: oracle(space.images, network.read, many),
    }
    rows: Rows = {}
    for name, directions in found.items():
        result = rescore(space.images, network.read, judged, directions())
        rows[name] = [(result.mean_share, result.mean_spearman, seconds if name == "topdis" else 0.0)]
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rung", choices=("hand-built", "scenes"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=200)
    options = parser.parse_args()
    run, columns = {
        "hand-built": (hand_built, ("mean abs cos", "worst axis", "seconds")),
        "scenes": (scenes, ("diagonal share", "Spearman", "seconds")),
    }[options.rung]
    rows: Rows = {}
    for seed in range(options.seeds):
        for name, values in run(seed, options.steps).items():
            rows.setdefault(name, []).extend(values)
        print(f"seed {seed}: " + ", ".join(f"{name} {v[-1][0]:.3f}" for name, v in rows.items()), flush=True)
    print(f"\n| method | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for name, values in rows.items():
        table = torch.tensor(values, dtype=torch.float64)
        spread = table.std(0) if len(table) > 1 else torch.zeros(len(columns))
        cells = [f"{mean:.3f} ± {deviation:.3f}" for mean, deviation in zip(table.mean(0), spread, strict=True)]
        cells[-1] = f"{table.mean(0)[-1]:.0f}" if table[:, -1].any() else ""
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
