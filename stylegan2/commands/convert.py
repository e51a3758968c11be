"""`topdis-gan convert`: the generator of any checkpoint as safetensors, or in rosinality's layout."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ganspace_topdis.options import Command, Settings, nested, option
from ganspace_topdis.runs.outputs import OutputSettings
from stylegan2.commands.traverse import files_text
from stylegan2.settings import checkpoint_names

__all__ = ["COMMAND", "Options", "run"]


@dataclass(frozen=True, kw_only=True)
class Options(Settings):
    """What is read, and what is written."""

    ckpt: str = option(help="StyleGAN2 file, https or hf address, or name.", argument=True, complete=checkpoint_names)
    out: Path = option(help="File to write.", argument=True)
    to: Literal["safetensors", "rosinality"] = option("safetensors", help="Format.", group="Main")
    half: bool = option(False, help="Store in half precision.", group="Main", only_for={"to": ("safetensors",)})
    output: OutputSettings = nested(OutputSettings)


def run(options: Options) -> dict[str, Any]:
    """Convert; return {"files": the path}.

    Raises:
        CheckpointError: the file cannot be used.
        InvalidArgumentError: the format cannot hold this generator, or `out` is named as one of another format.
        RunFolderError: the file exists and `force` is not set, or it cannot be written.
    """
    from stylegan2.conversion import check_name, convert

    check_name(options.out, options.to)
    options.output.earlier(options.out)
    return {"files": [str(convert(options.ckpt, options.out, to=options.to, half=options.half))]}


COMMAND = Command(
    options=Options,
    run=run,
    to_text=files_text,
    help="Write the generator of any checkpoint as safetensors, or in rosinality's layout.",
    examples=(
        "topdis-gan convert ffhq.pkl ffhq.safetensors --half",
        "topdis-gan convert ffhq.pkl ffhq.pt --to rosinality",
    ),
)
