"""`topdis-gan inspect`: what a checkpoint is. Nothing in it is executed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ganspace_topdis.options import Command, Settings, option
from stylegan2.settings import checkpoint_names

__all__ = ["COMMAND", "Options", "run", "to_text"]


@dataclass(frozen=True, kw_only=True)
class Options(Settings):
    """The checkpoint."""

    ckpt: str = option(help="StyleGAN2 file, https or hf address, or name.", argument=True, complete=checkpoint_names)


def run(options: Options) -> dict[str, Any]:
    """Format, sizes, layers, and what was inferred; see `stylegan2.conversion.inspect`.

    Raises:
        CheckpointError: the file cannot be used.
    """
    from stylegan2.conversion import inspect

    return inspect(options.ckpt)


def to_text(record: Mapping[str, Any], options: Options) -> str:
    """One fact per line, long ones wrapped to 80 columns."""
    import textwrap

    from ganspace_topdis.report.values import format_setting

    lines = []
    for name, value in record.items():
        text = format_setting(value) if name != "notes" else "; ".join(value) or "none"
        start = f"{name.replace('_', ' '):>19}  "
        wrapped = textwrap.wrap(text, 80, initial_indent=start, subsequent_indent=" " * len(start))
        lines.append("\n".join(wrapped) if len(start) + len(max(text.split(), key=len)) <= 80 else start + text)
    return "\n".join(lines)


COMMAND = Command(
    options=Options,
    run=run,
    to_text=to_text,
    help="Describe a checkpoint: format, sizes, layers, and what was inferred. Nothing in it is executed.",
    examples=("topdis-gan inspect ffhq.pkl", "topdis-gan inspect hf://OWNER/REPO/ffhq.pkl --json"),
)
