"""Discovery: the search for directions that keep topology, and what it is compared with."""

from ganspace_topdis.discovery.api import discover_directions
from ganspace_topdis.discovery.loop import Discovery
from ganspace_topdis.discovery.settings import DiscoverySettings

__all__ = ["Discovery", "DiscoverySettings", "discover_directions"]
