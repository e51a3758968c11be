"""Latent codes: directions, the Gaussian-preserving shift, and the gradient rule between two losses."""

from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.latent.gradients import orthogonalize_gradient
from ganspace_topdis.latent.shift import gaussian_shift, shift_values

__all__ = ["Directions", "gaussian_shift", "orthogonalize_gradient", "shift_values"]
