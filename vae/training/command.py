"""`topdis-gan train-vae`: from the command line's options to settings, and to a trained run."""

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganspace_topdis.errors import InvalidArgumentError
from vae.objectives.methods import METHODS
from vae.topdis.settings import TopDisSettings
from vae.training.runner import TrainOptions, train
from vae.training.settings import TrainSettings

__all__ = ["settings_from_options", "train_from_options"]

_TOPDIS_NAMES = {"topdis": "weight", "shift": "shift", "orthogonalize": "orthogonalize"} | {
    f"topdis_{name}": name for name in ("delay", "loss", "p", "codes", "choice", "batch", "points", "features")
}


def train_from_options(options: Mapping[str, Any]) -> Path:
    """Train as the command line says; return the run folder."""
    settings = settings_from_options(options)
    suffix = "" if settings.topdis is None else "-topdis"
    data = re.sub(r"[^\w.-]+", "-", settings.data)  # a name with variations, dsprites:posX=8, holds signs of its own
    out = options["out"] or Path("runs") / f"{data}-{settings.method}{suffix}-{settings.seed}"
    names = {field.name for field in dataclasses.fields(TrainOptions)}
    return train(settings, out, options=TrainOptions(**{name: options[name] for name in names}))


def settings_from_options(options: Mapping[str, Any]) -> TrainSettings:
    """The settings that options mean, by their names in the code; what is None was not given.

    Raises:
        InvalidArgumentError: an option belongs to another method, or to TopDis and --topdis is not given.
    """
    given = {name: value for name, value in options.items() if value is not None}
    plain = {field.name for field in dataclasses.fields(TrainSettings)} - {"options", "topdis"}
    return TrainSettings(
        **{name: given[name] for name in plain & given.keys()},
        options=_method_options(given),
        topdis=_topdis_settings(given),
    )


def _method_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options among `given` that are some method's; those of another method are refused."""
    fields = {method: {field.name for field in dataclasses.fields(kind.Options)} for method, kind in METHODS.items()}
    chosen = {name: value for name, value in given.items() if any(name in names for names in fields.values())}
    method = given.get("method", TrainSettings.method)
    for name in chosen.keys() - fields.get(method, chosen.keys()):
        owners = ", ".join(owner for owner, names in fields.items() if name in names)
        raise InvalidArgumentError(f"--{name.replace('_', '-')} is not an option of {method}, but of {owners}")
    return chosen


def _topdis_settings(given: Mapping[str, Any]) -> TopDisSettings | None:
    chosen = {_TOPDIS_NAMES[name]: value for name, value in given.items() if name in _TOPDIS_NAMES}
    if chosen and "weight" not in chosen:
        name = next(name for name in given if name in _TOPDIS_NAMES).replace("_", "-")
        raise InvalidArgumentError(f"--{name} says how TopDis is done; give --topdis GAMMA too, or leave it out")
    return TopDisSettings(**chosen) if chosen else None
