"""What reading one file may cost: a number of steps, and bytes made out of the bytes that are there.

Pickles can name one long string a million times, and tensors can share one storage: without a budget a file of a
few kilobytes asks for terabytes. Honest files make each of their bytes into a weight once.
"""

from ganspace_topdis.errors import CheckpointError

__all__ = ["MAX_STEPS", "Budget"]

MAX_STEPS = 3_000_000


class Budget:
    """Counts down the steps and the bytes that a file of `num_bytes` may still use.

    A byte may become two (half precision is read as single) and be copied once on the way.
    """

    def __init__(self, num_bytes: int) -> None:
        self.steps = MAX_STEPS
        self.bytes_left = 4 * num_bytes + 65536

    def step(self) -> None:
        """Count one step of the pickle reader.

        Raises:
            CheckpointError: there were too many.
        """
        self.steps -= 1
        if self.steps < 0:
            raise CheckpointError(f"it takes more than {MAX_STEPS:,} steps to read, which no checkpoint does")

    def take(self, num_bytes: int) -> None:
        """Count bytes that are about to be made.

        Raises:
            CheckpointError: the file would grow beyond what its size explains.
        """
        self.bytes_left -= num_bytes
        if self.bytes_left < 0:
            raise CheckpointError("its tensors take many times the bytes that the file holds; it is refused")
