"""Networks by name: `build_networks("narrow", image_shape=(64, 64, 1), num_latents=10)`."""

from collections.abc import Callable

from ganspace_topdis.errors import InvalidArgumentError
from vae.networks.autoencoder import AutoEncoder
from vae.networks.convolutional import burgess, locatello, narrow, wide, wide_norm
from vae.networks.fully_connected import fully_connected
from vae.networks.initial_weights import InitialWeights, draw_initial_weights

__all__ = ["NETWORKS", "build_networks"]

NETWORKS: dict[str, Callable[[tuple[int, int, int], int, float], AutoEncoder]] = {
    "narrow": narrow,
    "wide": wide,
    "wide-norm": wide_norm,
    "burgess": burgess,
    "locatello": locatello,
    "fc": fully_connected,
}


def build_networks(
    name: str,
    *,
    image_shape: tuple[int, int, int],
    num_latents: int,
    width: float = 1.0,
    initial_weights: InitialWeights = "kaiming",
) -> AutoEncoder:
    """The autoencoder called `name`, its weights drawn from torch's global generator.

    Args:
        name: a key of `NETWORKS`.
        image_shape: (H, W, C).
        num_latents: D.
        width: multiplies the sizes of all hidden layers.
        initial_weights: "kaiming", "normal" or "torch"; see `vae.networks.initial_weights`.

    Raises:
        InvalidArgumentError: unknown name or law, or images that the network cannot take.

    >>> model = build_networks("narrow", image_shape=(64, 64, 1), num_latents=10)
    >>> sum(parameter.numel() for parameter in model.parameters())
    497045
    """
    if name not in NETWORKS:
        raise InvalidArgumentError(f"network is {name!r}, allowed are {', '.join(NETWORKS)}")
    model = NETWORKS[name](image_shape, num_latents, width)
    draw_initial_weights(model, initial_weights)
    return model
