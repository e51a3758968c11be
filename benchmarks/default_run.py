"""What a default run of discover takes on a config-f generator, and an image beside NVIDIA's implementation.

    OMP_NUM_THREADS=1 python benchmarks/default_run.py --resolution 1024
    OMP_NUM_THREADS=1 python benchmarks/default_run.py --reference ../stylegan2-ada-pytorch --resolution 256 1024

The first writes a generator of random weights, finds its span, draws the first picture, and prints the plan of the
rest. The second takes a checkout of github.com/NVlabs/stylegan2-ada-pytorch, whose operations in plain torch run on a
CPU, gives both implementations the same weights and styles, and times them in turn; the best of three counts. All times
are seconds of this process's processor time, so they hold on a busy machine; they are those of one thread.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

import torch

from ganspace_topdis.discovery.loop import Discovery
from ganspace_topdis.runs.devices import tune_malloc
from stylegan2 import Generator, load, save
from stylegan2.commands.discover import Options, space_of
from stylegan2.ops.weight_cache import frozen_weights
from stylegan2.runs import plan as plans
from stylegan2.runs.frames import draw_preview
from stylegan2.runs.plan import measure_pace, plan_run

REPEATS = 3


def random_checkpoint(folder: Path, resolution: int) -> Path:
    torch.manual_seed(0)
    return save(Generator(img_resolution=resolution).eval(), folder / f"random-{resolution}.safetensors")


def print_default_run(resolution: int) -> None:
    """The time of loading, span and first picture, measured, and the plan of the rest."""
    with tempfile.TemporaryDirectory() as folder, frozen_weights():
        ckpt = random_checkpoint(Path(folder), resolution)
        options = Options(ckpt=str(ckpt))
        begin = time.process_time()
        space = space_of(load(ckpt), options)
        with mock.patch.object(plans.time, "perf_counter", time.process_time):
            pace = measure_pace(space, options.search.batch_size)
        search = Discovery(space.features, space.sample_codes, options.search, device="cpu")
        with torch.no_grad():
            draw_preview(Path(folder), space, options.pictures, search, image_s=pace.image_s)
        first_s = time.process_time() - begin
    count = search.span.num_directions
    plan = plan_run(pace, options.search, options.pictures, image_px=resolution, num_directions=count)
    print(f"config-f, {resolution} px, random weights, {count} directions; first picture after {first_s:.0f} s")
    print(plan.as_text(), flush=True)


def print_beside_reference(checkout: Path, resolution: int, batch: int) -> None:
    """One row: seconds per image of the reference and ours, their ratio, and the largest difference of the images."""
    sys.path.insert(0, str(checkout.resolve()))
    from training.networks import Generator as Reference

    torch.manual_seed(0)
    theirs = Reference(
        z_dim=512,
        c_dim=0,
        w_dim=512,
        img_resolution=resolution,
        img_channels=3,
        mapping_kwargs={"num_layers": 8},
        synthesis_kwargs={"channel_base": 32768, "channel_max": 512},
    )
    theirs = theirs.eval().requires_grad_(False)
    ours = Generator.from_state_dict(theirs.state_dict()).requires_grad_(False)
    with torch.no_grad(), frozen_weights():
        w = theirs.mapping(torch.randn(batch, 512), None)
        works = (lambda: theirs.synthesis(w, noise_mode="const"), lambda: ours.synthesis(w))
        expected, found = (work() for work in works)
        seconds = [float("inf")] * 2
        for _ in range(REPEATS):
            for place, work in enumerate(works):
                begin = time.process_time()
                work()
                seconds[place] = min(seconds[place], (time.process_time() - begin) / batch)
    difference = float((expected - found).abs().max() / expected.std())
    cells = [resolution, batch, *(f"{each:.2f}" for each in (*seconds, seconds[1] / seconds[0])), f"{difference:.0e}"]
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resolution", type=int, nargs="+", default=[1024])
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--reference", type=Path, help="a checkout of NVIDIA's stylegan2-ada-pytorch")
    options = parser.parse_args()
    tune_malloc()
    if options.reference is None:
        for resolution in options.resolution:
            print_default_run(resolution)
        return
    print("| px | batch | reference, s per image | ours | ratio | largest difference, deviations |")
    print("|" + "---|" * 6)
    for resolution in options.resolution:
        for batch in options.batch:
            print_beside_reference(options.reference, resolution, batch)


if __name__ == "__main__":
    main()
