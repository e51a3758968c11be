"""Turn the state of a training run on scenes or pebbles into a checkpoint: the averaged weights, in half precision.

The file stores beside the weights: the data, the settings, the images seen, and for a fitted network the
known function from codes to factors (`truth`, read by `CodeToFactors.from_metadata`).

    python benchmarks/export_scenes.py runs/gan stylegan2/assets/scenes.safetensors
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch

import stylegan2
from ganspace_topdis.runs.files import sha256_of
from vae.data.scenes_torch import CodeToFactors


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("output", type=Path, help="the checkpoint to write")
    return parser.parse_args(argv)


def description(state: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Where the weights come from, as JSON values."""
    adversarial, data = "discriminator" in state, settings.get("data", "scenes")
    images_seen = state["steps"] * settings["batch"] if adversarial else state["images_seen"]
    source = {
        "data": f"{data} of continuous factors (vae.data.{data})",
        "training": "adversarial" if adversarial else "fitted to the renderer",
        "images_seen": images_seen,
        "settings": settings,
    }
    if not adversarial:
        z_dim = state["average"]["mapping.fc0.weight"].shape[1]
        source["truth"] = CodeToFactors.random(z_dim, settings["seed"]).to_metadata()
    return source


def main(argv: list[str] | None = None) -> None:
    options = arguments(argv)
    state = torch.load(options.run / "state.pt", map_location="cpu", weights_only=True)
    settings = json.loads((options.run / "settings.json").read_text())
    generator = stylegan2.Generator.from_state_dict(state["average"])
    path = stylegan2.save(generator, options.output, half=True, source=description(state, settings))
    print(f"{path}  {path.stat().st_size} bytes  sha256 {sha256_of(path)}")


if __name__ == "__main__":
    main()
