"""Packages whose public names are imported on first use (PEP 562), so that `--help` loads neither torch nor SciPy.

    __getattr__, __dir__ = import_on_first_use(__name__, {"load": "loading", "save": "conversion"})

The package also imports the names under `TYPE_CHECKING`, for type checkers and editors, and lists them in `__all__`.
"""

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["import_on_first_use"]


def import_on_first_use(
    package: str, modules: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` of a package.

    Args:
        package: `__name__` of the package.
        modules: public name -> the module that defines it, below the package.

    Example:
        >>> get, names = import_on_first_use("json", {"JSONDecodeError": "decoder"})
        >>> get("JSONDecodeError")
        <class 'json.decoder.JSONDecodeError'>
        >>> get("parse")
        Traceback (most recent call last):
        AttributeError: module 'json' has no attribute 'parse'
    """

    def get(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{modules[name]}"), name)

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *modules})

    return get, names
