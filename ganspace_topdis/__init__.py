"""Latent directions that change one thing each, found and measured by topology (TopDis, Balabin et al. 2024)."""
