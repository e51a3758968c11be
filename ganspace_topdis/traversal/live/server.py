"""The server of the live page: three addresses, this machine only, no file of the disk.

    GET  /         the page
    POST /frames   frames for it, as a WebP image; 204 if a newer request made this one stale
    POST /names    a new name or star of one direction, saved in the run folder

No address names a file, so no request can read anything outside the run; see `live.http_server` for who may ask.
"""

import dataclasses
from collections.abc import Sequence

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.traversal.explorer import fill_page, page_data
from ganspace_topdis.traversal.live.http_server import Answer, LocalServer
from ganspace_topdis.traversal.live.renderer import Renderer
from ganspace_topdis.traversal.live.requests import CHANNELS, MAX_STATES, read_frames, read_name
from ganspace_topdis.traversal.names import DirectionLabel, NamesStore, apply_names

__all__ = ["LiveServer", "PageSettings"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PageSettings:
    """The initial state of the page.

    Attributes:
        labels: names and scores of the directions.
        seeds: the seeds that it offers; any other can be typed.
        title: its heading.
        subtitle: a line under it.
        source: a hash of the directions, for saved names.
        command: as in `PageText`, without truncation and layers, which the page adds.
        extent: the largest shift, in units of the directions.
        truncation_psi: 0 to 1.
        latent_names: names of the codes in `LiveModel.latents`; the page opens on the first of them.
        latents_file: their file, as the command takes it.

    Raises:
        InvalidArgumentError: an attribute is out of range.
    """

    labels: Sequence[DirectionLabel]
    seeds: Sequence[int]
    title: str = "Directions"
    subtitle: str = ""
    source: str = ""
    command: str = ""
    extent: float = 3.0
    truncation_psi: float = 0.7
    latent_names: Sequence[str] = ()
    latents_file: str = ""

    def __post_init__(self) -> None:
        if not 0 < self.extent <= 100:
            raise InvalidArgumentError(
                f"`extent` is {self.extent}, allowed are more than 0 to 100 units", field="extent"
            )
        if not 0 <= self.truncation_psi <= 1:
            raise InvalidArgumentError(
                f"`truncation_psi` is {self.truncation_psi}, allowed are 0 to 1", field="truncation_psi"
            )
        if not self.seeds:
            raise InvalidArgumentError("no seed was given for the page; give at least one, such as 0-5")


class LiveServer(LocalServer):
    """Serves the live page at `url` once `serve_forever` runs.

    Args:
        renderer: draws the frames.
        names: saves the names.
        settings: the initial state of the page.
        port: 0 for any free one.
        max_connections: open at a time; by default 512, fewer if the process may not open so many files.

    Raises:
        InvalidArgumentError: the port cannot be used.
    """

    def __init__(
        self,
        renderer: Renderer,
        names: NamesStore,
        settings: PageSettings,
        *,
        port: int = 0,
        max_connections: int | None = None,
    ) -> None:
        self.renderer, self.names, self.settings = renderer, names, settings
        routes: dict[tuple[str, str], Answer] = {
            ("GET", "/"): self._page,
            ("POST", "/frames"): self._draw,
            ("POST", "/names"): self._rename,
        }
        super().__init__(routes, port=port, max_connections=max_connections)

    def server_close(self) -> None:
        """Free the port, and wait for the image that is being drawn."""
        super().server_close()
        self.renderer.close()

    def page(self) -> str:
        """Return the page with the current names."""
        settings, model = self.settings, self.renderer.model
        labels = apply_names(settings.labels, self.names.read())
        data = page_data(labels, [], source=settings.source, command=settings.command)
        every = range(model.num_layers or 0)
        layers = None if model.num_layers is None else list(model.layers or every)
        own = [{"label": name, "latent": row} for row, name in enumerate(settings.latent_names)]
        data |= {
            "seeds": [*own, *({"label": f"seed {seed}", "number": seed} for seed in settings.seeds)],
            "transparent": model.num_channels == 4,
            "live": {
                "extent": settings.extent,
                "psi": settings.truncation_psi,
                "layers": layers,
                "ownLayers": list(model.own_layers or every),
                "numLayers": model.num_layers or 0,
                "layerRanges": [[name, list(chosen)] for name, chosen in model.layer_ranges],
                "latents": settings.latents_file,
                "sizes": {channel: self.renderer.size(channel) for channel in CHANNELS},
                "maxStates": MAX_STATES,
            },
        }
        return fill_page("live", title=settings.title, subtitle=settings.subtitle, data=data)

    def _page(self, body: bytes) -> tuple[bytes, str]:
        return self.page().encode(), "text/html; charset=utf-8"

    def _draw(self, body: bytes) -> tuple[bytes, str]:
        model = self.renderer.model
        request = read_frames(
            body,
            num_directions=model.directions.num_directions,
            num_layers=model.num_layers,
            extent=self.settings.extent,
            num_latents=model.num_latents,
        )
        return self.renderer.draw(request), "image/webp"

    def _rename(self, body: bytes) -> tuple[bytes, str]:
        change = read_name(body, num_directions=self.renderer.model.directions.num_directions)
        self.names.change(change.index, change.name)
        return b"saved", "text/plain; charset=utf-8"
