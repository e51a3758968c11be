"""Discovery: the search for directions that preserve topology, and its baselines.

Names are imported on first use, so that the command line reads the settings without loading torch.
"""

from typing import TYPE_CHECKING

from ganspace_topdis.lazy import import_on_first_use

if TYPE_CHECKING:
    from ganspace_topdis.discovery.api import discover_directions
    from ganspace_topdis.discovery.loop import Discovery
    from ganspace_topdis.discovery.settings import DiscoverySettings

__all__ = ["Discovery", "DiscoverySettings", "discover_directions"]

__getattr__, __dir__ = import_on_first_use(
    __name__, {"Discovery": "loop", "DiscoverySettings": "settings", "discover_directions": "api"}
)
