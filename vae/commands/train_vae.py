"""`topdis-gan train-vae`: from options to settings, and to a trained run."""

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganspace_topdis.errors import InvalidArgumentError
from vae.settings import METHOD_OPTIONS, ExecutionOptions, TopDisSettings, TrainSettings

__all__ = ["execute", "settings_from_options", "to_text"]

_TOPDIS_NAMES = {"topdis": "weight", "shift": "shift", "orthogonalize": "orthogonalize"} | {
    f"topdis_{name}": name
    for name in ("delay", "version", "loss", "p", "codes", "choice", "batch", "points", "features")
}


def execute(options: Mapping[str, Any]) -> dict[str, Any]:
    """Train, or resume; return {"run": the run folder}.

    Raises:
        InvalidArgumentError: see `settings_from_options`.
        TopdisError: see `vae.training.run.train`.
    """
    from vae.training.run import train

    settings = settings_from_options(options)
    names = {field.name for field in dataclasses.fields(ExecutionOptions)}
    execution = ExecutionOptions(**{name: options[name] for name in names})
    return {"run": str(train(settings, options["out"] or _default_folder(settings), options=execution))}


def to_text(record: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    """Return the run folder."""
    return str(record["run"])


def settings_from_options(options: Mapping[str, Any]) -> TrainSettings:
    """Return the settings that options describe; options that are None were not given.

    Raises:
        InvalidArgumentError: an option belongs to another method, or to TopDis without --topdis, or has a value that is
            not allowed.
    """
    given = {name: value for name, value in options.items() if value is not None}
    plain = {field.name for field in dataclasses.fields(TrainSettings)} - {"options", "topdis"}
    return TrainSettings(
        **{name: given[name] for name in plain & given.keys()},
        options=_method_options(given),
        topdis=_topdis_settings(given),
    )


def _default_folder(settings: TrainSettings) -> Path:
    suffix = "" if settings.topdis is None else "-topdis"
    data = re.sub(r"[^\w.-]+", "-", settings.data)  # variations contain other characters: dsprites:posX=8
    return Path("runs") / f"{data}-{settings.method}{suffix}-{settings.seed}"


def _method_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the method options among `given`; raises for options of other methods."""
    fields = {method: {field.name for field in dataclasses.fields(kind)} for method, kind in METHOD_OPTIONS.items()}
    chosen = {name: value for name, value in given.items() if any(name in names for names in fields.values())}
    method = given.get("method", TrainSettings.method)
    for name in chosen.keys() - fields.get(method, chosen.keys()):
        owners = ", ".join(owner for owner, names in fields.items() if name in names)
        raise InvalidArgumentError(f"--{name.replace('_', '-')} is an option of {owners}, not of {method}")
    return chosen


def _topdis_settings(given: Mapping[str, Any]) -> TopDisSettings | None:
    chosen = {_TOPDIS_NAMES[name]: value for name, value in given.items() if name in _TOPDIS_NAMES}
    if chosen and "weight" not in chosen:
        name = next(name for name in given if name in _TOPDIS_NAMES).replace("_", "-")
        raise InvalidArgumentError(f"--{name} needs --topdis GAMMA; add it, or omit --{name}")
    return TopDisSettings(**chosen) if chosen else None
