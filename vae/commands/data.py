"""`topdis-gan data`: list the data sets, describe, fetch and check one, and draw its contact sheet."""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganspace_topdis.options import Command, Settings, nested, option, seed_option
from ganspace_topdis.runs.outputs import OutputSettings
from vae.settings import data_root_option, dataset_names, verify_option

__all__ = ["COMMANDS", "CheckOptions", "NameOptions", "SheetOptions", "check_text", "describe_text", "list_text"]

_STATES = {
    "procedural": "procedural",
    "local": "on this machine",
    "downloadable": "to download",
    "manual": "to get manually",
}
_HEADINGS = {
    "procedural": "drawn by this package, no file is needed",
    "local": "on this machine",
    "downloadable": "to download with `topdis-gan data fetch NAME`",
    "manual": "to get manually, `topdis-gan data info NAME` says how",
}


@dataclass(frozen=True, kw_only=True)
class ListOptions(Settings):
    """The list has no options."""


@dataclass(frozen=True, kw_only=True)
class NameOptions(Settings):
    """A data set."""

    name: str = option(help="Data set, such as dsprites.", argument=True, complete=dataset_names)


@dataclass(frozen=True, kw_only=True)
class CheckOptions(NameOptions):
    """A data set and its files."""

    root: Path | None = option(
        None,
        help="Its file, or the folder that holds its files.",
        argument=True,
        default_text="TOPDIS_DATA, then the cache",
    )


@dataclass(frozen=True, kw_only=True)
class SheetOptions(NameOptions):
    """A data set and its contact sheet.

    Raises:
        InvalidArgumentError: the sheet is no .png.
    """

    out: Path | None = option(None, help="PNG file.", group="Sheet", default_text="NAME.png")
    columns: int = option(12, help="Images per row.", group="Sheet", minimum=2, maximum=64)
    cell: int = option(64, help="Width of an image, px.", group="Sheet", unit="px", minimum=16, maximum=512)
    seed: int = seed_option("Sheet", help="Seed of the images that are varied.", default=1)
    data_root: Path | None = data_root_option("Sheet")
    verify: bool = verify_option("Sheet")
    output: OutputSettings = nested(OutputSettings)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.out is not None and self.out.suffix.lower() != ".png":
            self.refuse("out", "a file that ends in .png")


def _list(options: ListOptions) -> dict[str, Any]:
    from vae.data.inventory import list_sets

    return list_sets()


def _describe(options: NameOptions) -> dict[str, Any]:
    from vae.data.inventory import describe_set

    return describe_set(options.name)


def _fetch(options: NameOptions) -> dict[str, Any]:
    from vae.data.inventory import fetch_set

    return fetch_set(options.name)


def _check(options: CheckOptions) -> dict[str, Any]:
    from vae.data.inventory import check_set

    return check_set(options.name, options.root)


def _sheet(options: SheetOptions) -> dict[str, Any]:
    from vae.data.inventory import write_sheet

    out = options.out or Path(f"{options.name.partition(':')[0]}.png")
    options.output.earlier(out)
    return write_sheet(
        options.name,
        out,
        data_root=options.data_root,
        verify=options.verify,
        columns=options.columns,
        cell=options.cell,
        seed=options.seed,
    )


def _files_text(record: Mapping[str, Any], options: NameOptions) -> str:
    """Return the paths, one per line."""
    return "\n".join(record["files"]) or f"{options.name} needs no files"


def list_text(record: Mapping[str, Any], options: Settings) -> str:
    """Format the list in 80 columns: a heading per state, and below it a line or two per data set."""
    lines: list[str] = []
    for state, heading in _HEADINGS.items():
        sets = [each for each in record["sets"] if each["state"] == state]
        lines += ["", heading] if sets else []
        for each in sets:
            facts = f"  {each['name']:<16} {each['num_images']:>9,}  {_times(each['image_shape']):<11}  "
            indent = " " * len(facts)
            lines += textwrap.wrap(facts + each["title"], 80, subsequent_indent=indent, break_long_words=False)
    lines += ["", "`topdis-gan data info NAME` gives factors, license, source, checksums and path."]
    return "\n".join(lines[1:])


def describe_text(record: Mapping[str, Any], options: Settings) -> str:
    """Format the description, one line per fact."""
    from vae.data.source_files import CHECKSUMS

    lines = [
        f"{record['name']}: {record['title']}",
        f"images    {record['num_images']:,} of {_times(record['image_shape'])}"
        + (f", {_bytes(record['num_array_bytes'])} in memory" if ":" not in record["name"] else ""),
        *(f"factor    {each['name']}: {each['size']} values, {each['kind']}" for each in record["factors"]),
    ]
    if not record["factors"]:
        lines.append("factors   unknown; supervised scores cannot be computed")
    lines += [f"license   {record['license']}", f"source    {record['source']}"]
    if record["instructions"]:
        lines.append(f"to get    {record['instructions']}")
    lines.append(f"state     {_STATES[record['state']]}")
    lines = [line for fact in lines for line in textwrap.wrap(fact, 80, subsequent_indent=" " * 10)]
    for file in record["files"]:
        lines.append(f"file      {file['name']}" + (f", {file['num_bytes']:,} bytes" if file["num_bytes"] else ""))
        lines += [f"          {name} {file[name]}" for name in (*CHECKSUMS, "url", "path") if file.get(name)]
    return "\n".join(lines)


def check_text(record: Mapping[str, Any], options: Settings) -> str:
    """Format the check: one line per file, one for its content, one for the images, one per cached array."""
    lines = [f"{file['path']}: {file['num_bytes']:,} bytes, {_checksum_text(file)}" for file in record["files"]]
    if content := record.get("content"):
        verdict = "read with a warning" if content["good"] else "REFUSED"
        lines.append(f"{record['name']}: {verdict}: {content['found']}")
    if "num_read" in record:
        factors = _times(record["factor_sizes"])
        lines.append(
            f"{record['name']}: {record['num_images']:,} images of {_times(record['image_shape'])}"
            + (f" on a grid of {factors}" if factors else ", no factors")
            + f"; {record['num_read']} of them were read, their mean is {record['mean']:g}"
        )
    for array in record.get("arrays", []):
        state = "intact" if array["matches"] else "DAMAGED; delete it, and it is written again"
        lines.append(f"{array['path']}: {array['num_bytes']:,} bytes, {state}")
    return "\n".join(lines)


def _checksum_text(file: Mapping[str, Any]) -> str:
    if file["matches"] is None:
        return "no published checksum is known"
    if file["matches"]:
        return f"its {file['algorithm']} is the published one"
    difference = f"its {file['algorithm']} is {file['found']}, the published one was {file['expected']}"
    return (
        f"NOT the published file byte by byte: {difference}"
        if file["pinned"]
        else f"{difference}, for an earlier upload"
    )


def _times(sizes: list[int]) -> str:
    return " x ".join(map(str, sizes))


def _bytes(number: int) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.0f} MB"


COMMANDS: Mapping[str, Command] = {
    "list": Command(
        options=ListOptions,
        run=_list,
        to_text=list_text,
        help="List the data sets, and which of them can be opened now.",
        examples=("topdis-gan data list", "topdis-gan data list --json"),
    ),
    "info": Command(
        options=NameOptions,
        run=_describe,
        to_text=describe_text,
        help="Describe a data set: factors, license, source, checksums, path.",
        examples=("topdis-gan data info 3dshapes", "topdis-gan data info dsprites --json"),
    ),
    "fetch": Command(
        options=NameOptions,
        run=_fetch,
        to_text=_files_text,
        help="Download a data set into the cache and verify its checksums.",
        examples=("topdis-gan data fetch 3dshapes", "topdis-gan data fetch smallnorb --json"),
    ),
    "check": Command(
        options=CheckOptions,
        run=_check,
        to_text=check_text,
        help="""Compare the files of a data set with their published checksums, read it, and check its content.

        Exits with 1 if the checksum and the content differ.""",
        examples=("topdis-gan data check 3dshapes", "topdis-gan data check cars3d nips2015-analogy-data.tar.gz"),
        exit_code=lambda record: 0 if record["good"] else 1,
    ),
    "sheet": Command(
        options=SheetOptions,
        run=_sheet,
        to_text=_files_text,
        help="Draw a contact sheet of a data set: one row per factor, its values from left to right.",
        examples=("topdis-gan data sheet dsprites", "topdis-gan data sheet scenes-32 --out scenes.png --columns 8"),
    ),
}
"""The subcommands by name."""
