"""Directions in the latent space of a VAE that `topdis-gan train-vae` trained, found by the same search.

    topdis-gan train-vae --data dsprites-16 --out runs/vae
    python examples/vae_decoder.py runs/vae          # writes vae.png

The span excludes latents that the decoder does not use.
"""

import sys

import torch
from torch import Tensor

from ganspace_topdis import discover_directions
from ganspace_topdis.traversal.walks import walk
from vae.training import load_trained


def main(run_folder: str, steps: int = 40) -> None:
    """Find as many directions as the spectrum of the active subspace shows; print their scores; draw them."""
    trained = load_trained(run_folder)

    def generate(codes: Tensor) -> Tensor:
        """Codes (N, num_latents) to images (N, C, H, W) in [-1, 1]."""
        return 2 * torch.sigmoid(trained.model.decode(codes)) - 1

    def sample_codes(num_codes: int, rng: torch.Generator) -> Tensor:
        """Codes (n, num_latents) of the prior."""
        return torch.randn(num_codes, trained.settings.num_latents, generator=rng)

    directions = discover_directions(generate, sample_codes, steps=steps, num_span_codes=2000, num_probes=128)
    for row in directions.score_table()["directions"]:
        scores = [f"{name} {row[name]:.2f}" for name in ("rtd_before", "rtd_after", "effect")]
        print(f"direction {row['index']}:", *scores)
    codes = sample_codes(3, torch.Generator().manual_seed(1))
    print(walk(generate, codes, directions, extent=2.0).save("vae.png"))


if __name__ == "__main__":
    main(sys.argv[1])
