"""Whether the settings of a cell can be trained and scored, found out without training anything."""

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ganspace_topdis.errors import InvalidArgumentError
from vae.data.opening import info_of
from vae.evaluation.metrics import GROUPS_WITH_FACTORS
from vae.topdis.settings import TopDisSettings
from vae.training.settings import TrainSettings

__all__ = ["data_root_for", "faults_of_settings", "train_settings"]

_SET_BY_THE_SUITE = ("seed",)


def faults_of_settings(settings: Mapping[str, Any], metrics: Sequence[str] | None) -> list[str]:
    """What is wrong with the `train-vae` settings of a cell whose `metrics` are asked for; empty where nothing is."""
    faults = [f"{name} belongs to the suite, not to a cell" for name in _SET_BY_THE_SUITE if name in settings]
    faults += _unknown("setting", settings, TrainSettings, _SET_BY_THE_SUITE)
    topdis = settings.get("topdis")
    if topdis is not None and not isinstance(topdis, Mapping):
        return [*faults, "topdis must be a table, such as { weight = 5.0 }"]
    faults += _unknown("topdis setting", topdis or {}, TopDisSettings)
    if not faults:
        try:
            train_settings(settings, seed=0)
        except (InvalidArgumentError, TypeError) as error:
            faults.append(str(error))
    return faults + _faults_of_data(str(settings.get("data", TrainSettings().data)), metrics)


def train_settings(settings: Mapping[str, Any], *, seed: int) -> TrainSettings:
    """The settings of a cell as `train-vae` takes them.

    Raises:
        InvalidArgumentError: a value is not allowed.
    """
    topdis = settings.get("topdis")
    term = None if topdis is None else TopDisSettings(**topdis)
    return TrainSettings(**{**settings, "topdis": term, "seed": seed})


def data_root_for(settings: Mapping[str, Any], root: Path | None) -> Path | None:
    """`root`, for a cell whose data set is read from files; None for one that is drawn."""
    return root if info_of(str(settings.get("data", TrainSettings().data))).files else None


def _unknown(what: str, given: Mapping[str, Any], kind: type, more: Sequence[str] = ()) -> list[str]:
    known = [field.name for field in dataclasses.fields(kind)]
    faults = []
    for name in given:
        if name not in known and name not in more:
            nearest = difflib.get_close_matches(name, known, n=1)
            faults.append(f"unknown {what} {name!r}" + (f" (nearest: {nearest[0]})" if nearest else ""))
    return faults


def _faults_of_data(name: str, metrics: Sequence[str] | None) -> list[str]:
    try:
        info = info_of(name)
    except InvalidArgumentError as error:
        return [str(error)]
    supervised = [metric for metric in metrics or () if metric in GROUPS_WITH_FACTORS]
    if supervised and not info.factors:
        return [f"{name} has no known factors, so {', '.join(supervised)} cannot be computed"]
    return []
