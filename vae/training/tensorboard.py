"""metrics.jsonl's lines for TensorBoard, beside them. Needs the extra `tensorboard`."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from ganspace_topdis.errors import MissingDependencyError

__all__ = ["TensorBoard"]


class TensorBoard:
    """Writes scalars into `folder`; what an earlier process wrote after `step` is hidden. A context manager.

    Raises:
        MissingDependencyError: tensorboard is not installed.
    """

    def __init__(self, folder: Path, step: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingDependencyError(
                "--tensorboard needs the package tensorboard: pip install 'topdis-gan[tensorboard]', or leave it out"
            ) from error
        self._writer = SummaryWriter(folder, purge_step=step + 1)

    def append(self, step: int, values: Mapping[str, float]) -> None:
        """Write one line's values."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def __enter__(self) -> "TensorBoard":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._writer.close()
