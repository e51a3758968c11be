"""How well a network draws again what it encoded: from the mean codes, so that two calls agree.

reconstruction    sum over pixels of the Bernoulli cross-entropy, mean over images, nats (as trained)
squared_error     mean over pixels of the squared difference, images in [0, 1]
"""

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from vae.data.dataset import DataSet, Integers
from vae.evaluation.encoding import to_tensor
from vae.networks.autoencoder import AutoEncoder

__all__ = ["reconstruction_errors"]

_BATCH_SIZE = 256


def reconstruction_errors(model: AutoEncoder, data: DataSet, indices: Integers) -> dict[str, float]:
    """Both errors over the images `indices` (N,) of `data`."""
    device = next(model.parameters()).device
    entropy = squared = 0.0
    for start in range(0, len(indices), _BATCH_SIZE):
        images = to_tensor(data.images(indices[start : start + _BATCH_SIZE])).to(device)
        with torch.inference_mode():
            logits = model.decode(model.encode(images)[0]).float()
            entropy += binary_cross_entropy_with_logits(logits, images, reduction="sum").item()
            squared += (logits.sigmoid() - images).square().mean(dim=(1, 2, 3)).sum().item()
    return {"reconstruction": entropy / len(indices), "squared_error": squared / len(indices)}
