"""Which process of a run this is, by torchrun's environment; torch is not imported here."""

import os

__all__ = ["is_follower"]


def is_follower() -> bool:
    """Whether torchrun started this process as another than the first, which alone writes and prints."""
    return int(os.environ.get("RANK", "0")) > 0
