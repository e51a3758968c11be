"""Reads codes of real images that other programs wrote, without executing anything in their files.

    .npz   NVIDIA's projector (projected_w.npz, key w), or any with one array
    .npy   encoders' and editors' arrays
    .pkl   an array or a tensor, or a dictionary of them
    .pt    pSp, e4e, PTI: a tensor; rosinality's projector: a dictionary of images, each with its "latent"

The format is detected from the content. One code is (w_dim,) or (num_ws, w_dim); several are (N, w_dim) or
(N, num_ws, w_dim). An array of (num_ws, w_dim) is one code.
"""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganspace_topdis.errors import CheckpointError, InvalidArgumentError
from ganspace_topdis.runs.archives import NPY_MAGIC, member_sizes, open_archive, parse_npy, read_member
from ganspace_topdis.runs.reading import ReadingError, parsing, read_bytes
from ganspace_topdis.safe_pickle.records import Budget, Record, damaged, printable, to_tensor
from ganspace_topdis.safe_pickle.safe_globals import array_of
from ganspace_topdis.safe_pickle.torch_container import LEGACY_HEAD, read_legacy, read_pickle, read_zip
from stylegan2.space import LatentSpace

__all__ = ["fit_latents", "read_latents"]

_KEYS = ("w", "w_plus", "ws", "wp", "latent", "latents", "latent_in", "projected_w", "codes", "z")
_MOST_BYTES = 1 << 30


def read_latents(path: Path) -> Tensor:
    """Return the array of codes in the file at `path`, float32, in its own shape.

    Raises:
        CheckpointError: the file is missing, damaged, too large, or holds no codes.
    """
    try:
        with parsing():
            codes = _parse(read_bytes(path, _MOST_BYTES))
    except CheckpointError as error:
        raise CheckpointError(f"`latents` {path}: {error}") from error
    except ReadingError as error:
        raise CheckpointError(
            f"`latents` {path} cannot be read ({error}); give an array of numbers saved by numpy.save, numpy.savez "
            "or torch.save"
        ) from error
    if not torch.isfinite(codes).all():
        raise CheckpointError(f"`latents` {path} holds NaN or infinite numbers; the inversion diverged")
    return codes


def fit_latents(codes: Tensor, space: LatentSpace) -> Tensor:
    """Return `codes` in the shape that `space` moves: (N, num_ws, w_dim) in w, (N, code_dim) otherwise.

    In s, styles are turned into channels.

    Raises:
        InvalidArgumentError: there are no codes, or the width or the number of layers does not match.
    """
    generator = space.generator
    codes = codes.to(generator.mapping.w_avg)
    if codes.numel() == 0:
        raise InvalidArgumentError(
            f"`latents` has shape {tuple(codes.shape)}, no codes; give one or more", field="latents"
        )
    if space.name != "w" and codes.ndim in (1, 2) and codes.shape[-1] == space.code_dim:
        return codes.reshape(-1, space.code_dim)
    num_ws, width = generator.num_ws, generator.w_dim
    fits = codes.ndim in (1, 2, 3) and codes.shape[-1] == width and (codes.ndim < 3 or codes.shape[1] in (1, num_ws))
    if space.name == "z" or not fits:
        allowed = {
            "z": f"({generator.z_dim},) or (N, {generator.z_dim}), because these directions are in space z",
            "w": f"({width},), (N, {width}), ({num_ws}, {width}) or (N, {num_ws}, {width})",
            "w+": f"those of w, or ({space.code_dim},) or (N, {space.code_dim})",
            "s": f"those of w, or ({space.code_dim},) or (N, {space.code_dim})",
        }[space.name]
        raise InvalidArgumentError(
            f"`latents` has shape {tuple(codes.shape)}; this generator takes {allowed}", field="latents"
        )
    if codes.ndim == 2 and len(codes) == num_ws:
        codes = codes[None]
    styles = codes.reshape(-1, codes.shape[1] if codes.ndim == 3 else 1, width).expand(-1, num_ws, -1)
    return space.codes_of_styles(styles)


def _parse(data: bytes) -> Tensor:
    if data[: len(NPY_MAGIC)] == NPY_MAGIC:
        return _numbers(parse_npy(data))
    view, budget = memoryview(data), Budget(len(data))
    if data[: len(LEGACY_HEAD)] == LEGACY_HEAD:
        return _find_codes(read_legacy(view, budget), budget)
    if data[:2] == b"PK":
        with open_archive(view) as archive:
            if not any(name.endswith("/data.pkl") for name in archive.namelist()):
                return _from_npz(archive)
        return _find_codes(read_zip(view, budget), budget)
    if data[:1] == b"\x80":
        return _find_codes(read_pickle(view, budget), budget)
    raise CheckpointError("it holds no codes: it is neither a NumPy array nor a file of torch.save")


def _from_npz(archive: zipfile.ZipFile) -> Tensor:
    """Return the codes in an archive of arrays. Sizes are checked before anything is unpacked."""
    sizes = member_sizes(archive)
    name = next((key for key in _KEYS if key in sizes), None)
    if name is None and len(sizes) == 1:
        (name,) = sizes
    if name is None:
        held = ", ".join(map(printable, list(sizes)[:8])) or "nothing"
        raise CheckpointError(f"it holds {held}; save the codes under one of the names {', '.join(_KEYS)}")
    if sizes[name] > _MOST_BYTES:
        raise CheckpointError(
            f"{printable(name)} takes more than 1 GiB unpacked, which exceeds any real array of codes"
        )
    return _numbers(read_member(archive, name))


def _numbers(array: Any) -> Tensor:
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        raise damaged("an array without numbers")
    return torch.from_numpy(np.array(array, dtype=np.float32, order="C"))


def _find_codes(content: Any, budget: Budget) -> Tensor:
    """Return the codes in an object of torch.save: a tensor, under a known key, or one code per image."""
    content = array_of(content, budget)
    if not isinstance(content, Record) or content.name != "dict":
        if isinstance(content, list | tuple) and content:
            return _joined([_find_codes(each, budget) for each in content])
        return to_tensor(content, "latents", budget)
    for key in _KEYS:
        if key in content:
            return to_tensor(array_of(content[key], budget), key, budget)
    images = [value["latent"] for value in content.values() if isinstance(value, Record) and "latent" in value]
    if images:
        return _joined([to_tensor(array_of(image, budget), "latent", budget) for image in images])
    raise CheckpointError(
        f"it holds a dictionary without any of the keys {', '.join(_KEYS)}; save the codes under one of them"
    )


def _joined(codes: list[Tensor]) -> Tensor:
    """The codes of several images, one each, (w_dim,) or (num_ws, w_dim), or (N, num_ws, w_dim) each, as one tensor."""
    if len({each.shape[-2:] for each in codes}) > 1 or len({each.ndim for each in codes}) > 1:
        shapes = " and ".join(sorted({str(tuple(each.shape)) for each in codes})[:4])
        raise CheckpointError(f"its images have codes of different shapes, {shapes}; save codes of one shape")
    return torch.stack(codes) if codes[0].ndim < 3 else torch.cat(codes)
