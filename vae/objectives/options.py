"""Checks that the options of several methods share."""

from ganspace_topdis.errors import InvalidArgumentError

__all__ = ["require", "require_at_least"]


def require(allowed: bool, name: str, value: object, what: str) -> None:
    """Refuse option `name` unless `allowed`; `what` says what would be."""
    if not allowed:
        raise InvalidArgumentError(f"{name} is {value!r}, allowed is {what}")


def require_at_least(least: float, **values: float) -> None:
    """Refuse any of the named values that is not a finite number of at least `least`."""
    for name, value in values.items():
        require(least <= value < float("inf"), name, value, f"a number of at least {least:g}")
