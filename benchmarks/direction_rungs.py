"""The three rungs of the benchmark of directions: generators whose truth is known less and less exactly.

* hand-built: six directions known exactly; scored by |cos| to the matched true direction.
* fitted: a StyleGAN2 fitted to the renderer of scenes, so that a code's factors are a known function of it.
* scenes: the packaged StyleGAN2, trained adversarially on images alone.

On the two networks a factor network reads what a direction changes: diagonal share of the re-scoring matrix and
Spearman's correlation along the path, means over the six factors. On the fitted one the truth is known too: the
mean matched |correlation| between a code's coordinates along the directions and its true factors.
"""

import dataclasses
import functools
import time
from pathlib import Path

import torch
from torch import Tensor

from ganspace_topdis.discovery import Discovery, DiscoverySettings
from ganspace_topdis.discovery.baselines import coordinate_axes, ganspace, ganspace_of_features
from ganspace_topdis.discovery.settings import SEARCH_METHODS
from ganspace_topdis.evaluation.factor_network import FactorNetwork
from ganspace_topdis.evaluation.matching import coordinate_recovery, recovery
from ganspace_topdis.evaluation.rescoring import oracle, rescore
from ganspace_topdis.generators import HandBuiltGenerator
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs.checksummed import load_checksummed
from ganspace_topdis.runs.files import sha256_of
from stylegan2.closed_forms import CLOSED_FORMS, closed_form
from stylegan2.loading import ASSETS, load, locate
from stylegan2.space import LatentSpace
from vae.data.scenes_torch import CodeToFactors

__all__ = ["HandBuilt", "Network", "Rung"]

_NUM_CODES = 100
_NUM_ORACLE_CODES = 4000
_JUDGE_STREAM = 10_000


class Rung:
    """A generator to find directions in, and how its truth scores them.

    Attributes:
        key: the name under which results of this rung are stored.
        methods: those that can be run on it.
        steps: default number of steps of a search.
    """

    key: str
    methods: tuple[str, ...]
    steps: int

    def find(self, method: str, seed: int, steps: int) -> Directions:
        """The directions of `method`."""
        raise NotImplementedError

    def judge(self, directions: Directions, seed: int) -> dict[str, float]:
        """Scores by name, larger is better."""
        raise NotImplementedError

    def cell(self, method: str, seed: int, steps: int) -> tuple[Directions, dict[str, float]]:
        """The directions of one method with one seed, and their scores; for a search also its processor time."""
        since = time.process_time()
        directions = self.find(method, seed, steps)
        spent = {"seconds": time.process_time() - since} if method in SEARCH_METHODS else {}
        return directions, {**self.judge(directions, seed), **spent}


class HandBuilt(Rung):
    """A differentiable drawing with six known directions, seen through a random rotation drawn with the seed."""

    key = "hand-built"
    methods = ("random", "axes", "ganspace", "ganspace-features", "span-axes", *SEARCH_METHODS)
    steps = 400

    def find(self, method: str, seed: int, steps: int) -> Directions:
        generator = HandBuiltGenerator(seed=seed)
        settings = DiscoverySettings(span="identity", num_directions=6, initialization="random", steps=steps, seed=seed)
        if method in SEARCH_METHODS:
            return _searched(Discovery(generator, generator.sample_codes, _with(settings, method)))
        if method == "random":
            return Discovery(generator, generator.sample_codes, settings).directions()
        if method == "span-axes":
            effect = dataclasses.replace(settings, span="effect")
            return Discovery(generator, generator.sample_codes, effect).directions(torch.eye(6))
        codes = generator.sample_codes(10_000, torch.Generator().manual_seed(seed))
        if method == "ganspace-features":
            return ganspace_of_features(generator, codes, 6, micro_batch=64)
        return ganspace(codes, 6) if method == "ganspace" else coordinate_axes(codes, 6)

    def judge(self, directions: Directions, seed: int) -> dict[str, float]:
        found = recovery(directions.vectors, HandBuiltGenerator(seed=seed).true_directions)
        return {"cos": found.mean, "worst cos": found.worst}


class Network(Rung):
    """A StyleGAN2 of scenes in a file, or by its packaged name.

    Args:
        name: of the rung.
        ckpt: the generator.
        resolution: the block whose features are compared, px.

    Attributes:
        space: of the generator's codes.
    """

    methods = (*CLOSED_FORMS, *SEARCH_METHODS, "oracle")
    steps = DiscoverySettings.steps

    def __init__(self, name: str, ckpt: str, resolution: int) -> None:
        path = locate(ckpt)
        self.key = f"{name} {sha256_of(path)[:8]} features {resolution}"
        self.space = LatentSpace(generator=load(path), resolution=resolution)
        self._network = FactorNetwork.load(ASSETS / "scenes_factors.safetensors")
        self._truth = _truth_of(path)

    def find(self, method: str, seed: int, steps: int) -> Directions:
        settings = DiscoverySettings(steps=steps, seed=seed)
        if method in SEARCH_METHODS:
            return _searched(Discovery(self.space.features, self.space.sample_codes, _with(settings, method)))
        if method == "oracle":
            codes = self._codes(_NUM_ORACLE_CODES, seed)[1]
            return oracle(self.space.images, self._network.read, codes)
        name = next(each for each in CLOSED_FORMS if each == method)
        return closed_form(name, self._unsearched(seed), self.space)

    def judge(self, directions: Directions, seed: int) -> dict[str, float]:
        result = rescore(self.space.images, self._network.read, self._codes(_NUM_CODES, seed + 1)[1], directions)
        scores = {"share": result.mean_share, "spearman": result.mean_spearman}
        if self._truth is not None:
            z, codes = self._codes(_NUM_ORACLE_CODES, seed + 1)
            true = torch.special.ndtri(self._truth.uniform(z).double())
            scores["truth"] = coordinate_recovery(directions.transform(codes), true).mean
        return scores | {f"share {name}": share for name, share in zip(result.factors, result.share, strict=True)}

    def _codes(self, num: int, seed: int) -> tuple[Tensor, Tensor]:
        z = torch.randn(num, self.space.generator.z_dim, generator=torch.Generator().manual_seed(_JUDGE_STREAM + seed))
        return z, self.space.generator.mapping(z)[:, 0]

    @functools.lru_cache(maxsize=1)  # noqa: B019 (lives as long as the benchmark)
    def _unsearched(self, seed: int) -> Discovery:
        return Discovery(self.space.features, self.space.sample_codes, DiscoverySettings(steps=0, seed=seed))


def _truth_of(path: Path) -> CodeToFactors | None:
    """The known function from z to the factors, stored in the description of a fitted generator."""
    truth = load_checksummed(path)[1].get("source", {}).get("truth")
    return None if truth is None else CodeToFactors.from_metadata(truth)


def _with(settings: DiscoverySettings, method: str) -> DiscoverySettings:
    return dataclasses.replace(settings, method=next(each for each in SEARCH_METHODS if each == method))


def _searched(search: Discovery) -> Directions:
    search.run()
    return search.directions()
