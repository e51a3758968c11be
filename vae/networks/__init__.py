"""Autoencoders of the literature, their initial weights, precision and compilation."""

from vae.networks.architectures import NETWORKS, build_networks
from vae.networks.autoencoder import AutoEncoder, Posterior

__all__ = ["NETWORKS", "AutoEncoder", "Posterior", "build_networks"]
