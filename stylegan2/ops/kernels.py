"""Calls the compiled operations on tensors: the C functions of cuda/interface.h through ctypes.

The library does not depend on torch: it takes pointers, sizes and strides, compiles in seconds, and works with any
torch release.
"""

import ctypes
import math
from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["SLOPES", "SMOOTH", "TYPES", "Kernels", "SeparableTaps"]

TYPES = {torch.float32: 0, torch.float16: 1, torch.bfloat16: 2, torch.float64: 3}
"""The supported types of tensors, and their numbers in cuda/interface.h."""

SLOPES = {"linear": 1.0, "relu": 0.0, "lrelu": 0.2}
"""Piecewise linear activations, and their slopes below zero."""

SMOOTH = ("tanh", "sigmoid", "elu", "selu", "softplus", "swish")
"""Activations with a second derivative, numbered from 1 in cuda/elements.h."""

SeparableTaps = tuple[tuple[float, ...], tuple[float, ...]]
"""Taps along x, and along y."""


class _Activation(ctypes.Structure):
    _fields_ = [("function", ctypes.c_int), *((name, ctypes.c_double) for name in ("slope", "gain", "clamp"))]


class _Images(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int64) for name in ("batch", "channels", "height", "width")),
        ("stride", ctypes.c_int64 * 4),
    ]


class _Layout(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int64) for name in ("channels", "pixels")),
        *((name, ctypes.c_int) for name in ("channels_last", "noise_per_sample")),
    ]


class _Taps(ctypes.Structure):
    _fields_ = [(name, ctypes.c_float * 4) for name in ("x", "y")]


class _Resampling(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int) for name in ("up", "down", "pad_x", "pad_y", "taps_x", "taps_y")]


class Kernels:
    """The operations of one library.

    Args:
        library: a shared library that exports the functions of cuda/interface.h.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library

    def bias_act(
        self,
        x: Tensor,
        bias: Tensor | None,
        *,
        act: str,
        gain: float,
        clamp: float | None,
        scale: Tensor | None = None,
        noise: Tensor | None = None,
    ) -> Tensor:
        """Compute clamp(gain f(scale x + noise + bias)) in one pass.

        Args:
            x: (B, C, ...).
            bias: (C,).
            act: the name of f, in `SLOPES` or `SMOOTH`.
            gain: at least 0.
            clamp: the largest absolute value of the result; None: no clamp.
            scale: (B, C).
            noise: (H, W), or (B, 1, H, W).
        """
        x = _dense(x)
        y = torch.empty_like(x)
        real = torch.float64 if x.dtype == torch.float64 else torch.float32
        given = [None if each is None else each.to(x.device, real).contiguous() for each in (scale, noise, bias)]
        last = _is_channels_last(x)
        per_sample = noise is not None and noise.ndim == 4
        layout = _Layout(x.shape[1], math.prod(x.shape[2:]), last, per_sample)
        self._call(
            "topdis_bias_act", y, _pointer(x), *map(_pointer, given), _pointer(y), ctypes.c_int(TYPES[x.dtype]),
            ctypes.c_int64(x.numel()), ctypes.byref(layout), ctypes.byref(_activation(act, gain, clamp)),
        )  # fmt: skip
        return y

    def bias_act_gradient(
        self, dy: Tensor, at: Tensor, order: int = 1, *, act: str, gain: float, clamp: float | None
    ) -> Tensor:
        """Multiply `dy` by a derivative of `bias_act`, clamp(gain f(u)), by u.

        Args:
            dy: (B, C, ...).
            at: the result of `bias_act` for `SLOPES`, u for `SMOOTH`.
            order: 1, or 2 for `SMOOTH`.
            act: as `bias_act`.
            gain: as `bias_act`.
            clamp: as `bias_act`.
        """
        dy = _with_layout_of(dy, at)
        dx = torch.empty_like(at)
        self._call(
            "topdis_bias_act_gradient", at, _pointer(dy), _pointer(at), _pointer(dx), ctypes.c_int(TYPES[at.dtype]),
            ctypes.c_int64(at.numel()), ctypes.byref(_activation(act, gain, clamp)), ctypes.c_int(order),
        )  # fmt: skip
        return dx

    def upfirdn2d(
        self, x: Tensor, f: Tensor, *, up: int, down: int, padding: Sequence[int], taps: SeparableTaps | None = None
    ) -> Tensor:
        """Zero-stuff, pad (left, right, top, bottom), correlate with f (h, w), keep every `down`-th sample.

        Args:
            x: (B, C, H, W).
            f: the filter.
            up: upsampling factor.
            down: downsampling factor.
            padding: negative values crop.
            taps: four along x and four along y whose outer product f is, if it is one; tiles are filtered then.
        """
        x = _dense(x)
        left, right, top, bottom = padding
        height = (x.shape[2] * up + top + bottom - f.shape[0]) // down + 1
        width = (x.shape[3] * up + left + right - f.shape[1]) // down + 1
        y = _empty_like(x, height, width)
        images = ctypes.byref(_images(x)), ctypes.byref(_images(y))
        form = ctypes.byref(_Resampling(up, down, left, top, f.shape[1], f.shape[0]))
        kind = ctypes.c_int(TYPES[x.dtype])
        if taps is not None and up * down <= 2 and x.dtype != torch.float64:
            pair = ctypes.byref(_Taps(*((ctypes.c_float * 4)(*each) for each in taps)))
            self._call("topdis_upfirdn2d_separable", y, _pointer(x), pair, _pointer(y), kind, *images, form)
            return y
        f = f.to(x.device, torch.float32).contiguous()
        self._call("topdis_upfirdn2d", y, _pointer(x), _pointer(f), _pointer(y), kind, *images, form)
        return y

    def _call(self, name: str, out: Tensor, *arguments: object) -> None:
        if not out.numel():
            return
        function = getattr(self._library, name)
        if not out.is_cuda:
            code = function(*arguments, None)
        else:
            with torch.cuda.device(out.device):
                code = function(*arguments, ctypes.c_void_p(torch.cuda.current_stream().cuda_stream))
        if code:
            self._library.topdis_error_text.restype = ctypes.c_char_p
            reason = self._library.topdis_error_text(ctypes.c_int(code)).decode()
            raise RuntimeError(
                f"{name} failed: {reason} (CUDA error {code}) for {out.dtype} of shape {list(out.shape)}"
            )


def _pointer(tensor: Tensor | None) -> ctypes.c_void_p:
    return ctypes.c_void_p(0 if tensor is None else tensor.data_ptr())


def _activation(act: str, gain: float, clamp: float | None) -> _Activation:
    function = 0 if act in SLOPES else 1 + SMOOTH.index(act)
    return _Activation(function, SLOPES.get(act, 0.0), gain, -1.0 if clamp is None else clamp)


def _images(x: Tensor) -> _Images:
    return _Images(*x.shape, (ctypes.c_int64 * 4)(*x.stride()))


def _is_channels_last(x: Tensor) -> bool:
    """Whether channels are adjacent in memory. A tensor with both layouts counts as contiguous."""
    return not x.is_contiguous() and x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last)


def _dense(x: Tensor) -> Tensor:
    return x if _is_channels_last(x) else x.contiguous()


def _with_layout_of(x: Tensor, like: Tensor) -> Tensor:
    if _is_channels_last(like):
        return x.contiguous(memory_format=torch.channels_last)
    return x.contiguous()


def _empty_like(x: Tensor, height: int, width: int) -> Tensor:
    layout = torch.channels_last if _is_channels_last(x) else torch.contiguous_format
    return torch.empty((*x.shape[:2], height, width), dtype=x.dtype, device=x.device, memory_format=layout)
