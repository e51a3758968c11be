"""How good a generator of scenes or pebbles is: what a factor network reads in its images, how easily it is detected.

    python benchmarks/scenes_quality.py stylegan2/assets/scenes.safetensors \\
        --factors stylegan2/assets/scenes_factors.safetensors --json quality.json --sheet quality.png

For 10,000 generated images: the share of every value of every factor, and whether it is between half and twice the
share that is read from rendered images; the mean of the factor network's largest probability, beside the same figure
for rendered images; and the held-out accuracy of a classifier trained to distinguish generated from rendered images
(0.5: never; 1: always), after each of its passes: early ones tell how hard the difference is to find, late ones whether
there is one.
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from scenes_training import DATA, drawn_data, picture_sheet
from torch import Tensor

import stylegan2
from ganspace_topdis.evaluation.factor_network import FactorNetwork, factor_loss
from ganspace_topdis.factors import Factor
from ganspace_topdis.runs.files import sha256_of, write_json
from stylegan2.zoo import locate

ORIGIN = (Factor("origin", 2, "categorical"),)


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", help="a generator of that data, or scenes or pebbles for the packaged one")
    parser.add_argument("--data", default="scenes", choices=DATA)
    parser.add_argument("--factors", type=Path, required=True, help="the factor network")
    parser.add_argument("--num", type=int, default=10_000, help="images read, and shown to the classifier")
    parser.add_argument("--passes", type=int, default=12, help="the classifier's passes over its training images")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table", type=Path, default=None, help="file that keeps the table of geometries")
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--sheet", type=Path, default=None, help="picture of 128 images")
    return parser.parse_args(argv)


@torch.no_grad()
def generated(generator: stylegan2.Generator, num: int, random: torch.Generator) -> Tensor:
    """Images (num, 3, R, R), clamped to [-1, 1] as they would be when saved."""
    z = torch.randn(num, generator.z_dim, generator=random)
    parts = [generator.synthesis(generator.mapping(part), noise_mode="const") for part in z.split(250)]
    return torch.cat(parts).clamp(-1, 1)


@torch.no_grad()
def read(network: FactorNetwork, images: Tensor) -> dict[str, dict[str, Any]]:
    """Per factor: the share of images whose most probable value is each, and the mean of that probability."""
    logits = zip(*(network(part) for part in images.split(250)), strict=True)
    report = {}
    for factor, parts in zip(network.factors, logits, strict=True):
        confidence, value = torch.cat(parts).softmax(dim=1).max(dim=1)
        shares = torch.bincount(value, minlength=factor.size) / len(images)
        report[factor.name] = {
            "shares": [round(share, 4) for share in shares.tolist()],
            "confidence": round(float(confidence.mean()), 4),
        }
    return report


def two_sample_accuracies(made: Tensor, real: Tensor, passes: int, random: torch.Generator) -> list[float]:
    """Held-out accuracy, after each pass, of a network that distinguishes the two, trained on four fifths of both."""
    torch.manual_seed(0)
    images, origin = torch.cat([made, real]), torch.cat([torch.zeros(len(made)), torch.ones(len(real))])
    order = torch.randperm(len(images), generator=random)
    cut = len(images) * 4 // 5
    classifier = FactorNetwork(ORIGIN, images.shape[-1])
    optimizer = torch.optim.Adam(classifier.parameters(), lr=1e-3)
    accuracies, held_out = [], order[cut:]
    for _ in range(passes):
        shuffled = order[:cut][torch.randperm(cut, generator=random)]
        for rows in shuffled.split(64):
            loss = factor_loss(ORIGIN, classifier(images[rows]), origin[rows, None])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            guesses = torch.cat([classifier(images[rows])[0].argmax(dim=1) for rows in held_out.split(250)])
        accuracies.append(round(float((guesses == origin[held_out]).float().mean()), 4))
    return accuracies


def relative_shares(generated: dict[str, Any], rendered: dict[str, Any]) -> list[float]:
    """The share of each value of a factor among generated images over that among rendered ones."""
    pairs = zip(generated["shares"], rendered["shares"], strict=True)
    return [share / expected for share, expected in pairs]


def measure(options: argparse.Namespace) -> tuple[dict[str, Any], Tensor]:
    """All figures of a checkpoint, and its images."""
    generator = stylegan2.load(options.checkpoint)
    network = FactorNetwork.load(options.factors)
    random = torch.Generator().manual_seed(options.seed)
    made = generated(generator, options.num, random)
    data = drawn_data(options.data, generator.img_resolution, options.table)
    values = data.uniform_values(options.num, random)
    real = torch.cat([data.images(part) for part in values.split(250)])
    figures = {
        "checkpoint_sha256": sha256_of(locate(options.checkpoint)),
        "num_images": options.num,
        "generated": read(network, made),
        "rendered": read(network, real),
        "two_sample_accuracies": two_sample_accuracies(made, real, options.passes, random),
    }
    return figures, made


def print_table(figures: dict[str, Any]) -> None:
    print("| factor | smallest and largest share, over that on renders | within [0.5, 2] | confidence | on renders |")
    print("|---|---|---|---|---|")
    for name, row in figures["generated"].items():
        on_renders = figures["rendered"][name]
        relative = relative_shares(row, on_renders)
        within = "yes" if min(relative) >= 0.5 and max(relative) <= 2 else "no"
        print(
            f"| {name} | {min(relative):.2f}, {max(relative):.2f} | {within} "
            f"| {row['confidence']:.3f} | {on_renders['confidence']:.3f} |"
        )
    accuracies = ", ".join(f"{accuracy:.3f}" for accuracy in figures["two_sample_accuracies"])
    print(f"\ntwo-sample accuracy, generated against rendered, after each pass: {accuracies}")


def main(argv: list[str] | None = None) -> None:
    options = arguments(argv)
    torch.set_num_threads(1)
    figures, made = measure(options)
    print_table(figures)
    if options.json is not None:
        write_json(options.json, figures)
    if options.sheet is not None:
        picture_sheet(list(made[:128].split(16)), options.sheet)


if __name__ == "__main__":
    main()
