"""`topdis-gan inspect`: what a checkpoint is. Nothing in it is executed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ganspace_topdis.options import Command, Settings, option
from stylegan2.run_settings import checkpoint_names

__all__ = ["COMMAND", "Options", "run", "to_text"]


@dataclass(frozen=True, kw_only=True)
class Options(Settings):
    """The checkpoint."""

    ckpt: str = option(help="StyleGAN2 file, https address, or name.", argument=True, complete=checkpoint_names)


def run(options: Options) -> dict[str, Any]:
    """Format, sizes, layers, and what was inferred; see `stylegan2.conversion.inspect`.

    Raises:
        CheckpointError: the file cannot be used.
    """
    from stylegan2.conversion import inspect

    return inspect(options.ckpt)


def to_text(record: Mapping[str, Any], options: Options) -> str:
    """One fact per line."""
    return "\n".join(f"{name.replace('_', ' '):>19}  {value}" for name, value in record.items())


COMMAND = Command(
    options=Options,
    run=run,
    to_text=to_text,
    help="Describe a checkpoint: format, sizes, layers, and what was inferred. Nothing in it is executed.",
    examples=("topdis-gan inspect ffhq.pkl", "topdis-gan inspect scenes --json"),
)
