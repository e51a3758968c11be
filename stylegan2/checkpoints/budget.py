"""What reading one file may cost: a number of elements, and bytes made out of the bytes that are there.

Pickles can name one long string a million times, hand one long list to a function again and again, and tensors can
share one storage: without a budget a file of a few kilobytes asks for terabytes. An honest pickle takes at least a
byte for every element that it makes, and makes each of its bytes into a weight once.
"""

from ganspace_topdis.errors import CheckpointError

__all__ = ["MAX_ELEMENTS", "Budget"]

MAX_ELEMENTS = 4_000_000
"""NVIDIA's snapshots with all three networks take 0.1 million, a training file with its optimizers no more."""

ALLOWANCE = 65536


class Budget:
    """Counts down the elements and the bytes that a file of `num_bytes` may still use.

    An element is an opcode, or an entry of a container that an opcode or an allowed function makes: two for each
    byte of the file, and no more than `MAX_ELEMENTS`. A byte may become two (half precision is read as single) and
    be copied once on the way.
    """

    def __init__(self, num_bytes: int) -> None:
        self.elements = min(MAX_ELEMENTS, 2 * num_bytes + ALLOWANCE)
        self.bytes_left = 4 * num_bytes + ALLOWANCE

    def count(self, num_elements: int = 1) -> None:
        """Count elements that are about to be made.

        Raises:
            CheckpointError: the file would grow beyond what its size explains.
        """
        self.elements -= num_elements
        if self.elements < 0:
            raise CheckpointError("it makes many times the elements that a checkpoint of its size has; it is refused")

    def take(self, num_bytes: int) -> None:
        """Count bytes that are about to be made.

        Raises:
            CheckpointError: the file would grow beyond what its size explains.
        """
        self.bytes_left -= num_bytes
        if self.bytes_left < 0:
            raise CheckpointError("its tensors take many times the bytes that the file holds; it is refused")
