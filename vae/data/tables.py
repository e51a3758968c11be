"""The records of `vae.data.commands` as text for people."""

from collections.abc import Iterable
from typing import Any

__all__ = ["check_text", "info_text", "list_text"]

_STATES = {
    "drawn": "drawn here",
    "here": "on this machine",
    "fetch": "to fetch",
    "by hand": "to get by hand",
}

_FACTS = ("sha256", "md5", "git_sha1", "url", "path")


def list_text(records: Iterable[dict[str, Any]]) -> str:
    """A table, one line a set."""
    rows = [("name", "images", "size", "factors", "all of it", "state", "shows")]
    rows += [
        (
            record["name"],
            f"{record['num_images']:,}",
            _size(record["image_shape"]),
            _sizes(record["factor_sizes"]),
            _bytes(record["num_array_bytes"]),
            _STATES[record["state"]],
            record["title"],
        )
        for record in records
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    right = (1, 4)
    lines = (
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def info_text(record: dict[str, Any]) -> str:
    """All that is known of a set, a line a fact."""
    lines = [
        f"{record['name']}: {record['title']}",
        f"images    {record['num_images']:,} of {_size(record['image_shape'])}, "
        f"{_bytes(record['num_array_bytes'])} in all",
        *(f"factor    {each['name']}: {each['size']} values, {each['kind']}" for each in record["factors"]),
    ]
    if not record["factors"]:
        lines.append("factors   unknown: no scores that need them")
    lines += [f"licence   {record['licence']}", f"source    {record['source']}"]
    if record["by_hand"]:
        lines.append(f"to get    {record['by_hand']}")
    lines.append(f"state     {_STATES[record['state']]}")
    for file in record["files"]:
        lines.append(f"file      {file['name']}" + (f", {file['num_bytes']:,} bytes" if file["num_bytes"] else ""))
        lines += [
            f"          {name} {file[name]}" for name in ("sha256", "md5", "git_sha1", "url", "path") if file.get(name)
        ]
    return "\n".join(lines)


def check_text(record: dict[str, Any]) -> str:
    """What was found, a line a file and one for the images."""
    lines = [f"{file['path']}: {file['num_bytes']:,} bytes, {_verdict(file)}" for file in record["files"]]
    if "num_read" in record:
        factors = _sizes(record["factor_sizes"])
        lines.append(
            f"{record['name']}: {record['num_images']:,} images of {_size(record['image_shape'])}"
            + (f" on a grid of {factors}" if factors else ", no factors")
            + f"; {record['num_read']} of them were read, their mean is {record['mean']:g}"
        )
    for array in record.get("arrays", []):
        state = "whole" if array["matches"] else "DAMAGED: remove it and it is made again"
        lines.append(f"{array['path']}: {array['num_bytes']:,} bytes, {state}")
    return "\n".join(lines)


def _verdict(file: dict[str, Any]) -> str:
    if file["matches"] is None:
        return "no published sum is known"
    if file["matches"]:
        return f"its {file['algorithm']} is the published one"
    said = f"its {file['algorithm']} is {file['found']}, published was {file['expected']}"
    return f"NOT the published file: {said}" if file["firm"] else f"{said}, for an earlier upload"


def _size(shape: list[int]) -> str:
    return " x ".join(map(str, shape))


def _sizes(sizes: list[int]) -> str:
    return " x ".join(map(str, sizes))


def _bytes(number: int) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.0f} MB"
