"""The requests of a page, parsed from JSON; every field is validated before anything is drawn or written."""

import math
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.options import MAX_SEED
from ganspace_topdis.runs.reading import ReadingError, parse_json
from ganspace_topdis.traversal.names import DirectionName, clean_name, is_text

__all__ = ["CHANNELS", "MAX_STATES", "FrameState", "FramesRequest", "NameChange", "read_frames", "read_name"]

CHANNELS = ("view", "film", "ends", "seeds")
"""The large image, the film under it, the ends of the sliders, the seeds; the first one is urgent."""

MAX_STATES = 64
_LARGEST_NUMBER = 2**53


@dataclass(frozen=True, kw_only=True)
class FrameState:
    """One frame: the code of `seed` or number `latent` of the user's codes, shifted along directions.

    Attributes:
        shifts: direction -> shift, in units of the direction.
        seed: 0 to 2**32 - 1; unused if `latent` is given.
        latent: the row of the user's codes; None for a seed.
    """

    shifts: Mapping[int, float]
    seed: int = 0
    latent: int | None = None


@dataclass(frozen=True, kw_only=True)
class FramesRequest:
    """Frames for one channel of one page.

    Attributes:
        page: identifies the page; requests of different pages do not make each other stale.
        channel: one of `CHANNELS`.
        number: grows with every request of a page; a newer one makes older ones of its channel stale.
        psi: truncation, 0 to 1.
        layers: which layers are shifted; None for all.
        states: the frames, 1 to `MAX_STATES`.
    """

    page: str
    channel: str
    number: int
    psi: float
    layers: tuple[int, ...] | None
    states: tuple[FrameState, ...]


@dataclass(frozen=True, kw_only=True)
class NameChange:
    """A new name or star of one direction."""

    index: int
    name: DirectionName


def read_frames(
    body: bytes, *, num_directions: int, num_layers: int | None, extent: float, num_latents: int = 0
) -> FramesRequest:
    """Return the request in the JSON document `body`.

    Args:
        body: the document.
        num_directions: directions that can be shifted.
        num_layers: layers that can be shifted; None if codes have none.
        extent: the largest shift, in units of the directions.
        num_latents: codes of the user.

    Raises:
        InvalidArgumentError: a field is missing, of another type, or out of range.
    """
    fields = _read(body, FramesRequest)
    layers = fields["layers"]
    if layers is not None:
        allowed = range(num_layers or 0)
        _check(isinstance(layers, list) and all(_is_in(layer, allowed) for layer in layers), "layers", layers)
    states = fields["states"]
    _check(isinstance(states, list) and 1 <= len(states) <= MAX_STATES, "states", "a list of another length")
    _check(isinstance(fields["page"], str) and len(fields["page"]) <= 64, "page", fields["page"])
    _check(fields["channel"] in CHANNELS, "channel", fields["channel"])
    _check(_is_in(fields["number"], range(2**53)), "number", fields["number"])
    _check(_is_number(fields["psi"]) and 0 <= fields["psi"] <= 1, "psi", fields["psi"])
    return FramesRequest(
        **{name: fields[name] for name in ("page", "channel", "number")},
        psi=float(fields["psi"]),
        layers=None if layers is None else tuple(layers),
        states=tuple(_state(state, num_directions, extent, num_latents) for state in states),
    )


def read_name(body: bytes, *, num_directions: int) -> NameChange:
    """Return the change of a name in the JSON document `body`.

    Raises:
        InvalidArgumentError: a field is missing, of another type, or out of range.
    """
    fields = _read(body, NameChange, "starred")
    _check(_is_in(fields["index"], range(num_directions)), "index", fields["index"])
    _check(isinstance(fields["name"], str) and is_text(fields["name"]), "name", fields["name"])
    _check(isinstance(fields["starred"], bool), "starred", fields["starred"])
    name = DirectionName(name=clean_name(fields["name"]), starred=fields["starred"])
    return NameChange(index=fields["index"], name=name)


def _read(body: bytes, kind: type, *more: str) -> dict[str, Any]:
    try:
        fields = parse_json(body)
    except ReadingError as error:
        raise InvalidArgumentError("the request is not JSON") from error
    wanted = {*kind.__dataclass_fields__, *more}  # type: ignore[attr-defined]
    if not isinstance(fields, dict) or set(fields) != wanted:
        raise InvalidArgumentError(f"the request must be an object with {', '.join(sorted(wanted))}")
    return fields


def _state(state: Any, num_directions: int, extent: float, num_latents: int) -> FrameState:
    _check(isinstance(state, dict) and set(state) in ({"seed", "shifts"}, {"latent", "shifts"}), "states", state)
    shifts, source = state["shifts"], "seed" if "seed" in state else "latent"
    allowed = range(MAX_SEED + 1) if source == "seed" else range(num_latents)
    _check(_is_in(state[source], allowed), source, state[source])
    _check(isinstance(shifts, dict), "shifts", shifts)
    known = {str(index): index for index in range(num_directions)}
    for key, shift in shifts.items():
        _check(key in known and _is_number(shift) and abs(shift) <= extent, "shifts", f"{key[:40]}: {_shown(shift)}")
    return FrameState(**{source: state[source]}, shifts={known[key]: float(shift) for key, shift in shifts.items()})


def _is_in(value: Any, allowed: range) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value in allowed


def _is_number(value: Any) -> bool:
    if isinstance(value, int):  # of any size, 10**400 too
        return not isinstance(value, bool) and abs(value) <= _LARGEST_NUMBER
    return isinstance(value, float) and math.isfinite(value)


def _check(allowed: bool, name: str, value: Any) -> None:
    if not allowed:
        shown = value if isinstance(value, str) else _shown(value)
        raise InvalidArgumentError(f"{name} is {shown[:80]!r}, which is not allowed here")


def _shown(value: Any) -> str:
    """Return `value` as text, whatever its depth and size."""
    try:
        return str(value) if isinstance(value, int | float | None) else reprlib.repr(value)
    except ValueError:  # too many digits
        return "a number of thousands of digits"
