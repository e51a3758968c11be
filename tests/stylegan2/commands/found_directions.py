"""A small generator and directions on it, as a run folder holds them; and the command line in this process."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from ganspace_topdis import program
from ganspace_topdis.discovery.baselines import coordinate_axes
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs.files import sha256_of
from stylegan2 import Generator, save
from stylegan2.commands.discover import Options, run
from stylegan2.space import LatentSpace


def small_generator(seed: int = 0) -> Generator:
    torch.manual_seed(seed)
    return Generator(z_dim=8, w_dim=8, img_resolution=16, num_mapping_layers=1, channel_base=64).eval()


def write_found(
    folder: Path, *, count: int = 3, units: Sequence[float] | None = None, **space: object
) -> tuple[Path, Path, Directions]:
    """Write a checkpoint and directions of the named space into `folder`; return both paths and the directions.

    They are calibrated if `units` are given.
    """
    generator = small_generator()
    ckpt = save(generator, folder / "small.safetensors")
    where = LatentSpace(generator=generator, **space)  # type: ignore[arg-type]
    with torch.no_grad():
        codes = where.sample_codes(100, torch.Generator().manual_seed(0))
    directions = coordinate_axes(codes, count)
    directions = directions if units is None else directions.calibrated(units)
    directions.metadata.update({**where.facts(), "checkpoint_sha256": sha256_of(ckpt)})
    return ckpt, directions.save(folder / "directions.safetensors"), directions


def discover(options: Options, out: Path) -> Directions:
    """Run a discovery in `out` and return its directions."""
    record = run(dataclasses.replace(options, out=out))
    assert record["files"][0] == str(out / "directions.safetensors")
    return Directions.load(out)


def main(*arguments: str) -> int:
    """Run the command line and return its exit code."""
    with pytest.raises(SystemExit) as left:
        program.main(arguments)
    return int(left.value.code or 0)
