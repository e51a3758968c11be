"""The compiled operations on a GPU beside plain torch: values, gradients of both orders, and milliseconds.

    python benchmarks/cuda_operations.py --device cuda

Differences are the largest ones from plain torch in float64 on the CPU, relative to the largest value. Times are
medians of operation and gradient together, ours and plain torch's in turns. Exits with 1 if a difference in float32
exceeds 1e-5. On a device without the compiled operations plain torch is compared with itself; the first line says so.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from ganspace_topdis.runs.devices import choose_device, wait_for_device
from stylegan2.ops.bias_act import bias_act, plain_bias_act, scaled_bias_act
from stylegan2.ops.build import kernels_for
from stylegan2.ops.kernels import SMOOTH
from stylegan2.ops.upfirdn2d import Resampling, outer_filter, plain_upfirdn2d, upfirdn2d

Operation = Callable[[Tensor], Tensor]
TOLERANCE = 1e-5
ACT = {"act": "lrelu", "gain": 2**0.5, "clamp": 256.0}
FORMS = {
    "filter": Resampling(padding=(1, 1, 1, 1)),
    "upsample": Resampling(up=2, padding=(2, 1, 2, 1)),
    "downsample": Resampling(down=2, padding=(1, 1, 1, 1)),
}


def operations() -> dict[str, tuple[Operation, Operation]]:
    """Ours and plain torch's, by name."""
    taps = outer_filter((0.1, 0.2, 0.3, 0.4))

    def resample(form: Resampling) -> tuple[Operation, Operation]:
        return (
            lambda x: upfirdn2d(x, taps.to(x.device), form),
            lambda x: plain_upfirdn2d(x, taps.to(x.device).flip(0, 1), form),
        )

    def with_bias(compute: Callable[..., Tensor], act: str = "lrelu") -> Operation:
        return lambda x: compute(x, torch.linspace(-1, 1, x.shape[1]).to(x), **{**ACT, "act": act})

    def ramps(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Bias (C,), scale (B, C) and noise (H, W)."""
        batch, channels, height, width = x.shape
        scale = torch.linspace(0.5, 2, batch * channels).reshape(batch, channels)
        return torch.linspace(-1, 1, channels).to(x), scale.to(x), torch.linspace(-1, 1, width).expand(height, -1).to(x)

    def fused(x: Tensor) -> Tensor:
        bias, scale, noise = ramps(x)
        return scaled_bias_act(x, scale, bias, noise, **ACT)

    def in_steps(x: Tensor) -> Tensor:
        bias, scale, noise = ramps(x)
        return plain_bias_act(x * scale[:, :, None, None] + noise, bias, **ACT)

    return {
        "bias_act": (with_bias(bias_act), with_bias(plain_bias_act)),
        **{f"bias_act, {act}": (with_bias(bias_act, act), with_bias(plain_bias_act, act)) for act in SMOOTH},
        "bias_act with scale and noise": (fused, in_steps),
        **{f"upfirdn2d, {name}": resample(form) for name, form in FORMS.items()},
    }


def derivatives(operation: Operation, x: Tensor, seed: int = 0) -> list[Tensor]:
    """The value y (B, C, H, W), dx = J^T v, and the gradient of <dx, u> by v, with fixed random u and v."""
    x = x.detach().requires_grad_()
    y = operation(x)
    rng = torch.Generator().manual_seed(seed)
    v = torch.randn(y.shape, generator=rng).to(y).requires_grad_()
    u = torch.randn(x.shape, generator=rng).to(x)
    (dx,) = torch.autograd.grad(y, x, v, create_graph=True)
    (dv,) = torch.autograd.grad(dx, v, u)
    return [each.detach() for each in (y, dx, dv)]


def differences(ours: Operation, plain: Operation, x: Tensor) -> list[float]:
    """The largest difference of value and derivatives, relative to the largest value."""
    found, expected = derivatives(ours, x), derivatives(plain, x.cpu().double().contiguous())
    pairs = zip(found, expected, strict=True)
    return [float((a.cpu().double() - b).abs().max() / b.abs().max()) for a, b in pairs]


def milliseconds(works: Sequence[Callable[[], object]], device: torch.device, repeats: int) -> list[float]:
    """Medians, in turns."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(repeats + 2):
        for work, spent in zip(works, times, strict=True):
            wait_for_device(device)
            since = time.perf_counter()
            work()
            wait_for_device(device)
            spent.append(1000 * (time.perf_counter() - since))
    return [statistics.median(spent[2:]) for spent in times]


def forward_and_back(operation: Operation, x: Tensor) -> None:
    x = x.detach().requires_grad_()
    operation(x).sum().backward()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--shape", type=int, nargs=4, default=[4, 128, 256, 256], help="batch, channels, height, width")
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()
    device = choose_device(options.device)
    torch.manual_seed(0)
    compiled = kernels_for(torch.zeros(1, 1, 1, 1, device=device)) is not None
    print(
        f"{device}, {options.shape}: {'compiled operations' if compiled else 'NOT compiled: plain torch with itself'}"
    )
    print("| operation | type | layout | value | gradient | second order | ours, ms | plain, ms | ratio |")
    print("|" + "---|" * 9)
    worst = 0.0
    for name, (ours, plain) in operations().items():
        for dtype in (torch.float32, torch.float16):
            for layout in (torch.contiguous_format, torch.channels_last):
                x = torch.randn(*options.shape).to(device, dtype).contiguous(memory_format=layout)
                small = x[:1, :8, :64, :64].contiguous(memory_format=layout)
                errors = differences(ours, plain, small)
                works = [partial(forward_and_back, operation, x) for operation in (ours, plain)]
                mine, theirs = milliseconds(works, device, options.repeats)
                texts = [str(dtype).rpartition(".")[2], str(layout).rpartition(".")[2]]
                texts += [*(f"{error:.0e}" for error in errors), f"{mine:.3f}", f"{theirs:.3f}", f"{theirs / mine:.2f}"]
                print("| " + " | ".join([name, *texts]) + " |", flush=True)
                worst = max(worst, *errors) if dtype == torch.float32 else worst
    if worst > TOLERANCE:
        sys.exit(f"a difference of {worst:.1e} in float32 exceeds {TOLERANCE}")


if __name__ == "__main__":
    main()
