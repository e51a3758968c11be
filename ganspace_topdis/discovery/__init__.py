"""Discovery: the search for directions that preserve topology, and its baselines.

Names are imported on first use, so that the command line reads the settings without loading torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ganspace_topdis.discovery.api import discover_directions
    from ganspace_topdis.discovery.loop import Discovery
    from ganspace_topdis.discovery.settings import DiscoverySettings

__all__ = ["Discovery", "DiscoverySettings", "discover_directions"]

_MODULES = {"Discovery": "loop", "DiscoverySettings": "settings", "discover_directions": "api"}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
