"""The commands of the VAE half: options and one call each. No torch is imported before a command runs."""

__all__: list[str] = []
