"""Autoencoders of the literature, and the discriminators of FactorVAE and DAVA."""

from vae.networks.autoencoder import AutoEncoder, Posterior
from vae.networks.build import NETWORKS, build_networks

__all__ = ["NETWORKS", "AutoEncoder", "Posterior", "build_networks"]
