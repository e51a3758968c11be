"""The rungs of the benchmark of directions: generators whose truth is known less and less exactly.

    hand-built  a differentiable drawing with six known directions behind a random rotation, another with every seed
    fitted      a StyleGAN2 fitted to the renderer of scenes, so that a code's factors are a known function of z
    scenes      a packaged StyleGAN2 of 32 px, trained adversarially on images alone
    scenes-64   the same at 64 px, which `discover` opens by default
    pebbles     another one, of images whose factors share pixels (`vae.data.pebbles`)

No weight, rate or number of steps was chosen on the last two.

The first is scored by |cos| to the matched true direction. On the others a factor network reads what a direction
changes: the calibrated share of `evaluation.rescoring`, each factor's own change by one standard deviation, and
Spearman's correlation along the path. On the fitted one, the coordinates of codes along the directions are also
correlated with the true factors.
"""

import abc
import dataclasses
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from ganspace_topdis.discovery.settings import Whitening
from ganspace_topdis.discovery.whitening import whiten
from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.evaluation.factor_network import FactorNetwork
from ganspace_topdis.evaluation.matching import coordinate_recovery, recovery
from ganspace_topdis.evaluation.rescoring import Rescoring, rescore
from ganspace_topdis.generators import HandBuiltGenerator
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs.checksummed import load_checksummed
from ganspace_topdis.runs.files import sha256_of
from stylegan2.loading import factor_network_for, load
from stylegan2.ops.weight_cache import frozen_weights
from stylegan2.settings import WHITENING
from stylegan2.space import LatentSpace, default_features
from stylegan2.zoo import locate

__all__ = ["RUNGS", "SCORES", "BenchSpace", "HandBuilt", "Network", "Rung", "rung_named"]

RUNGS = ("hand-built", "fitted", "scenes", "scenes-64", "pebbles")

SCORES = {
    "share": "share",
    "own_change": "own change",
    "weakest_change": "weakest change",
    "spearman": "Spearman",
    "truth": "truth",
    "cos": "|cos|",
    "worst_cos": "worst |cos|",
}
"""The scores of a rung, by the name in files, with the heading of their column."""

_NUM_CODES, _NUM_TRUTH_CODES, _NUM_SPAN_CODES = 100, 4000, 10_000
_STREAM = 10_000
"""Separates the codes of the scores from those that methods draw with the same seed."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class BenchSpace:
    """What a method may use of a rung.

    Attributes:
        generate: codes (N, D) -> features (N, C, H, W), differentiable.
        images: codes (N, D) -> images (N, 3, H, W) in [-1, 1], differentiable.
        sample_codes: (n, torch.Generator) -> codes (n, D).
        code_dim: D.
        wider: the same of W+ and S, by the names w+ and s, in networks.
    """

    generate: Callable[[Tensor], Tensor]
    images: Callable[[Tensor], Tensor]
    sample_codes: Callable[[int, torch.Generator], Tensor]
    code_dim: int
    wider: Mapping[str, "BenchSpace"] = dataclasses.field(default_factory=dict)


class Rung(abc.ABC):
    """A generator to find directions in, and how its truth scores them.

    Attributes:
        name: one of `RUNGS`.
        num_directions: the number of directions that a method is asked for; more are refused.
        checkpoint_sha256: of the generator's file; None where there is none.
        widths: lengths that vectors may have: that of codes, and in a network also those of W+ and S.
    """

    name: str
    num_directions: int
    checkpoint_sha256: str | None = None
    widths: tuple[int, ...]

    @abc.abstractmethod
    def space(self, seed: int) -> BenchSpace:
        """What a method may use; on the hand-built rung it depends on the seed."""

    def whitening(self, width: int) -> Whitening:
        """How codes of that width are whitened."""
        return "full"

    @abc.abstractmethod
    def sample_codes(self, num_codes: int, width: int, seed: int) -> Tensor:
        """Codes (num_codes, width) that no method is shown."""

    @abc.abstractmethod
    def score(self, directions: Directions, seed: int) -> dict[str, float]:
        """Scores by name, as in `SCORES`; larger is better."""

    def directions_of(self, vectors: Tensor, seed: int) -> Directions:
        """Directions along `vectors` (K, D), each made one standard deviation long: of unit norm where codes are white.

        Raises:
            InvalidArgumentError: their shape does not fit the rung, or they are zero or not finite.
        """
        self.check(vectors, seed)
        with torch.no_grad():
            codes = self.sample_codes(_NUM_SPAN_CODES, vectors.shape[1], seed)
        coordinates = whiten(self.whitening(vectors.shape[1]), codes)
        rows = F.normalize(coordinates.located(vectors.to(codes)), dim=1)
        axes, projections = coordinates.chosen(rows)
        scales = axes.norm(dim=1)
        return Directions(
            vectors=axes,
            dual_vectors=projections,
            mean=coordinates.mean,
            span=axes / scales[:, None],
            scales=scales,
        )

    def check(self, vectors: Tensor, seed: int) -> None:
        """Refuse vectors that `directions_of` cannot take.

        Raises:
            InvalidArgumentError: their shape does not fit the rung, or they are zero or not finite.
        """
        if vectors.ndim != 2 or vectors.shape[1] not in self.widths or not 1 <= len(vectors) <= self.num_directions:
            raise InvalidArgumentError(
                f"directions of shape {tuple(vectors.shape)} do not fit rung {self.name}; it takes "
                f"{' or '.join(f'(K, {width})' for width in self.widths)} with K from 1 to {self.num_directions}"
            )
        if not bool(torch.isfinite(vectors).all()) or bool((vectors.norm(dim=1) == 0).any()):
            raise InvalidArgumentError(f"directions for rung {self.name} hold zero vectors, NaN or infinite numbers")


class HandBuilt(Rung):
    """The differentiable drawing; features are its images."""

    name = "hand-built"
    num_directions = 6
    widths = (6,)

    def space(self, seed: int) -> BenchSpace:
        """The drawing behind the rotation of that seed."""
        generator = HandBuiltGenerator(seed=seed)
        return BenchSpace(generate=generator, images=generator, sample_codes=generator.sample_codes, code_dim=6)

    def sample_codes(self, num_codes: int, width: int, seed: int) -> Tensor:
        """Codes (num_codes, 6)."""
        return HandBuiltGenerator(seed=seed).sample_codes(num_codes, _generator(seed))

    def score(self, directions: Directions, seed: int) -> dict[str, float]:
        """|cos| with the matched true directions, mean and worst."""
        found = recovery(directions.vectors, HandBuiltGenerator(seed=seed).true_directions)
        return {"cos": found.mean, "worst_cos": found.worst}


class Network(Rung):
    """A StyleGAN2 of scenes or pebbles, by its packaged name or in a file; features are those that `discover` takes.

    Args:
        name: of the rung.
        ckpt: the generator.

    Attributes:
        latent_space: w, in which directions are found.
        spaces: w, W+ and S by the width of their codes.
    """

    def __init__(self, name: str, ckpt: str) -> None:
        self.name = name
        self._path = locate(ckpt)
        self.num_directions = 7 if name == "fitted" else 6  # as many as the active subspace has axes
        self.checkpoint_sha256 = sha256_of(self._path)
        generator = load(self._path)
        self.latent_space = LatentSpace(generator=generator, resolution=default_features(generator))
        spaces = [dataclasses.replace(self.latent_space, name=name) for name in ("w", "w+", "s")]
        self.spaces = {space.code_dim: space for space in spaces}
        self.widths = tuple(self.spaces)

    def space_named(self, name: str) -> LatentSpace:
        """The space w, w+ or s."""
        return next(space for space in self.spaces.values() if space.name == name)

    @cached_property
    def factor_network(self) -> FactorNetwork:
        """Reads the factors of an image."""
        path = factor_network_for(self._path, given=None, wanted=True)
        assert path is not None, "wanted"
        return FactorNetwork.load(path)

    def space(self, seed: int) -> BenchSpace:
        """Space w of the generator, the same for every seed."""
        wider = {str(space.name): _bench_space(space) for space in self.spaces.values() if space.name != "w"}
        return dataclasses.replace(_bench_space(self.latent_space), wider=wider)

    def score(self, directions: Directions, seed: int) -> dict[str, float]:
        """Share, own change and Spearman, means over the factors; the weakest own change; truth where it is known."""
        found = self.rescore(directions, seed)
        scores = {
            "share": found.mean_share,
            "own_change": sum(found.own_change) / len(found.own_change),
            "weakest_change": min(found.own_change),
            "spearman": found.mean_spearman,
        }
        rotation = _true_rotation(self._path)
        if rotation is not None:
            z = self._latents(_NUM_TRUTH_CODES, seed + 1)
            codes = self.sample_codes(_NUM_TRUTH_CODES, directions.code_dim, seed + 1)
            true = (z @ rotation.T) * torch.rsqrt(z.square().mean(dim=1, keepdim=True) + 1e-8)
            scores["truth"] = coordinate_recovery(directions.transform(codes), true).mean
        return scores

    def rescore(self, directions: Directions, seed: int) -> Rescoring:
        """What the directions change, by factor."""
        space = self.spaces[directions.code_dim]
        with torch.no_grad(), frozen_weights():
            codes = self.sample_codes(_NUM_CODES, directions.code_dim, seed + 1)
            return rescore(space.images, self.factor_network.read, codes, directions)

    def whitening(self, width: int) -> Whitening:
        """As `discover` whitens them."""
        return WHITENING[self.spaces[width].name]

    def sample_codes(self, num_codes: int, width: int, seed: int) -> Tensor:
        """Codes of the space of that width, of the z that `codes` returns."""
        with torch.no_grad():
            return self.spaces[width].sample_codes(num_codes, _generator(seed))

    @torch.no_grad()
    def codes(self, num: int, seed: int) -> tuple[Tensor, Tensor]:
        """Codes z (num, z_dim) and their w (num, w_dim), which no method is shown."""
        z = self._latents(num, seed)
        return z, self.latent_space.generator.mapping(z)[:, 0]

    def _latents(self, num: int, seed: int) -> Tensor:
        return torch.randn(num, self.latent_space.generator.z_dim, generator=_generator(seed))


def _bench_space(space: LatentSpace) -> BenchSpace:
    return BenchSpace(
        generate=space.features, images=space.images, sample_codes=space.sample_codes, code_dim=space.code_dim
    )


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(_STREAM + seed)


def rung_named(name: str) -> Rung:
    """The rung of that name in `RUNGS`; a network is loaded from its packaged file."""
    if name == "hand-built":
        return HandBuilt()
    return Network(name, "scenes-fitted" if name == "fitted" else name)


def _true_rotation(path: Path) -> Tensor | None:
    """(6, z_dim), the directions of z that the factors of a fitted generator depend on, from its description."""
    source = load_checksummed(path)[1].get("source")
    truth = source.get("truth") if isinstance(source, dict) else None
    return None if truth is None else torch.tensor(truth["rotation"])
