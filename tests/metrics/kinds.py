"""Ten kinds of codes of the same factors, which tell metrics apart."""

import numpy as np

from ganspace_topdis.metrics.inputs import Array

KINDS = (
    "perfect",
    "permuted",
    "rotated",
    "entangled",
    "duplicated",
    "dead",
    "nonlinear",
    "noisy",
    "quantized",
    "random",
)
SIZES = (4, 5, 6, 8)


def draw_kind(kind: str, num_points: int, seed: int = 0) -> tuple[Array, Array]:
    """Codes (N, D) of a kind and their factors (N, 4), uniform and independent.

    perfect     a latent per factor, spread evenly within 4 % of the step between values
    permuted    the same, latents in another order, of other signs and scales
    rotated     a random rotation of perfect
    entangled   the first two latents turned by 45 degrees
    duplicated  every latent twice, the second with a spread of its own
    dead        four more latents of standard deviation 0.001
    nonlinear   each latent through an increasing cube
    noisy       normal noise of three tenths of the factors' range
    quantized   three levels per latent
    random      normal noise alone
    """
    rng = np.random.default_rng(seed)
    factors = np.stack([rng.integers(0, size, num_points) for size in SIZES], axis=1)
    centered = (factors - (np.array(SIZES) - 1) / 2) / np.array(SIZES) * 3.4

    def spread() -> Array:
        return rng.uniform(-0.02, 0.02, size=centered.shape) * 3.4 / np.array(SIZES)

    perfect = centered + spread()
    turned = np.eye(4)
    turned[:2, :2] = np.array([[1, -1], [1, 1]]) / np.sqrt(2)
    codes = {
        "perfect": perfect,
        "permuted": perfect[:, [2, 0, 3, 1]] * [3.0, -1.0, 0.5, -2.0],
        "rotated": perfect @ np.linalg.qr(rng.normal(size=(4, 4)))[0],
        "entangled": perfect @ turned,
        "duplicated": np.hstack([perfect, centered + spread()]),
        "dead": np.hstack([perfect, 0.001 * rng.normal(size=perfect.shape)]),
        "nonlinear": (perfect + 0.7) ** 3,
        "noisy": perfect + rng.normal(size=perfect.shape),
        "quantized": np.clip(np.rint(perfect), -1, 1),
        "random": rng.normal(size=perfect.shape),
    }[kind]
    return codes, factors
