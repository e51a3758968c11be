"""One training, step by step: draw a batch, encode, decode, sum the terms, take Adam's step, let the method do its own.

`Training` owns everything that a step changes and returns it as a tree of tensors and numbers, so that a run that is
stopped and resumed takes exactly the same steps: weights, optimizers, the method's discriminator or controller, the
random streams, and the running means of the log. TopDis draws from a stream of its own, so that a training with TopDis
and its baseline without it see the same batches and noise.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from ganspace_topdis.errors import CheckpointError, NonFinitePointsError, TopdisError
from ganspace_topdis.runs.devices import move_together
from vae.data import DataSet
from vae.flat_adam import FlatAdam
from vae.methods import create_method
from vae.methods.method import DataSpec, Method, StepContext, reconstruction_loss
from vae.networks import AutoEncoder, Posterior, build_networks
from vae.networks.autoencoder import compile_model
from vae.settings import Compile, TrainSettings
from vae.topdis import TopDisTerm, step_gradient
from vae.training.sampling import Batches, RandomStreams

__all__ = ["RunningMeans", "Training"]


class Training:
    """A training that can be taken step by step, stopped, and resumed.

    Args:
        settings: see `TrainSettings`.
        data: the data set.
        device: device of the training.
        features: what TopDis compares, logits (N, C, H, W) -> (N, ...); by default those named in the settings.
        compiled: see `vae.networks.autoencoder.compile_model`.
        resident: whether the whole data set is copied to the device.
    """

    def __init__(
        self,
        settings: TrainSettings,
        data: DataSet,
        *,
        device: torch.device | str = "cpu",
        features: Callable[[Tensor], Tensor] | None = None,
        compiled: Compile = "none",
        resident: bool = False,
    ) -> None:
        self.settings, self.device = settings, torch.device(device)
        self.model, self.method = _initialize(settings, data, self.device)
        compile_model(self.model, device=self.device, precision=settings.precision, compiled=compiled)
        first, second = settings.adam_betas
        self.optimizer = FlatAdam(self.model.parameters(), lr=settings.learning_rate, betas=(first, second))
        self._topdis = None if settings.topdis is None else TopDisTerm(settings.topdis, features)
        self._batches = Batches(data, settings.batch_size, self.device, resident=resident)
        self._random, self._topdis_random = (RandomStreams(settings.seed, k, self.device) for k in (0, 1))
        self._latent_weights: list[float] | None = None
        self.means = RunningMeans()
        self.step_index = 0

    @property
    def finished(self) -> bool:
        """Whether all steps were taken."""
        return self.step_index >= self.settings.steps

    @property
    def max_grad_norm(self) -> float | None:
        """Maximum norm of the gradient."""
        chosen = self.settings.max_grad_norm
        return self.method.max_grad_norm if chosen is None else chosen

    def step(self) -> dict[str, float]:
        """Take one step; return the values of its terms.

        Raises:
            TopdisError: a term or its gradient is not finite, or the device is out of memory.
        """
        try:
            return self._take_step()
        except torch.OutOfMemoryError as error:
            points = "" if self.settings.topdis is None else ", `topdis.points`"
            raise TopdisError(
                f"the device is out of memory at step {self.step_index}; lower `batch_size`{points} or `width`, "
                "or choose another `device`"
            ) from error

    def _take_step(self) -> dict[str, float]:
        images = self._batches.draw(self._random.host)
        posterior = self.model.posterior(images, self._random.device)
        logits = self.model.decode(posterior.sample).float()
        reconstruction = reconstruction_loss(logits, images, self.settings.likelihood)
        penalty = self.method.penalty(posterior, self.step_index)
        whole = penalty.total()
        weighted = whole if self._ramp() == 1 else penalty.total(self._ramp())
        terms = {"reconstruction": reconstruction, **penalty.report, "penalty": whole, "weighted penalty": weighted}
        try:
            topdis = self._topdis_loss(posterior, logits)
        except NonFinitePointsError as error:  # images that are not finite, or have collapsed onto each other
            self._check(_read(terms)[0])
            raise TopdisError(self._advice(f"topdis has no value ({error})")) from error
        terms |= {} if topdis is None else {"topdis": topdis}
        values = self._optimize(terms, topdis)
        loss = values["reconstruction"] + values.pop("weighted penalty")
        values |= self._after_step(images, posterior)
        values = {"loss": loss + self._weight() * values.get("topdis", 0.0), **values}
        self.step_index += 1
        self.means.add(values)
        return values

    def _topdis_loss(self, posterior: Posterior, logits: Tensor) -> Tensor | None:
        """Return the TopDis loss, None before its delay; `logits` are those of the posterior's sample."""
        term, random = self._topdis, self._topdis_random
        if term is None or not self._with_topdis(self.step_index):
            return None
        if self._latent_weights is None and term.settings.choice == "weighted":
            self._latent_weights = self.model.latent_weights().tolist()
        choice = term.choose(self.model.num_latents, random.host, self._latent_weights)
        if term.settings.version == "released":
            return term(self.model, posterior.resampled(random.device), choice)
        if term.settings.batch == "same":
            return term(self.model, posterior, choice, decoded=logits)
        second = self.model.posterior(self._batches.draw(random.host), random.device)
        return term(self.model, second, choice)

    def _with_topdis(self, step: int) -> bool:
        chosen = self.settings.topdis
        return chosen is not None and step >= chosen.delay and chosen.weight > 0

    def _optimize(self, terms: Mapping[str, Tensor | float], topdis: Tensor | None) -> dict[str, float]:
        """Take Adam's step if all is finite; return the values of the terms."""
        gradient = step_gradient(
            self.optimizer.parameters,
            self.optimizer.flatten,
            reconstruction=torch.as_tensor(terms["reconstruction"]),
            penalty=torch.as_tensor(terms["weighted penalty"]),
            topdis=None if topdis is None else self._weight() * topdis,
            orthogonalize="none" if self.settings.topdis is None else self.settings.topdis.orthogonalize,
        )
        values, _ = _read({**terms, "": torch.linalg.vector_norm(gradient.total)})
        norm = values.pop("")
        self._check(values)
        if not math.isfinite(norm):
            raise TopdisError(self._advice(f"the gradient of {gradient.blame()} is not finite"))
        limit = self.max_grad_norm
        self.optimizer.step(gradient.total if limit is None else gradient.total * min(limit / (norm + 1e-6), 1.0))
        return values

    def _check(self, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            if not math.isfinite(value):
                raise TopdisError(self._advice(f"{name} is {value}"))

    def _after_step(self, images: Tensor, posterior: Posterior) -> dict[str, float]:
        """Let the method do its own; return its values, read together with what the next step needs on the host."""
        terms = self.method.after_step(self._context(images, posterior))
        term = self._topdis
        weighted = term is not None and term.settings.choice == "weighted" and self._with_topdis(self.step_index + 1)
        values, self._latent_weights = _read(terms, self.model.latent_weights() if weighted else None)
        self._check(values)
        return values

    def _context(self, images: Tensor, posterior: Posterior) -> StepContext:
        def second_posterior() -> Posterior:
            with torch.no_grad():
                return self.model.posterior(self._batches.draw(self._random.host), self._random.device)

        return StepContext(
            model=self.model,
            optimizer=self.optimizer,
            posterior=posterior.detach(),
            images=images,
            second_posterior=second_posterior,
            generator=self._random.device,
            max_grad_norm=self.max_grad_norm,
        )

    def _ramp(self) -> float:
        return min((self.step_index + 1) / self.settings.ramp_steps, 1.0) if self.settings.ramp_steps else 1.0

    def _weight(self) -> float:
        return 0.0 if self.settings.topdis is None else self.settings.topdis.weight

    def _advice(self, what: str) -> str:
        return f"{what} at step {self.step_index}; lower the learning rate or the weight of that term"

    def state(self) -> dict[str, Any]:
        """Return everything that the next steps depend on, as a tree of tensors and numbers."""
        return {
            "step": self.step_index,
            "image_shape": self.model.image_shape,
            "model": dict(self.model.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "objective": self.method.state(),
            "random": self._random.state(),
            "topdis_random": self._topdis_random.state(),
            "averages": self.means.state(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` returned. On another type of device the noise differs, with a warning.

        Raises:
            CheckpointError: the state is of another version of this package.
        """
        if state.keys() != self.state().keys():
            raise CheckpointError("the checkpoint is of another version of topdis-gan; choose another `out`")
        self.step_index = state["step"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.method.load_state(state["objective"])
        self._random.load_state(state["random"])
        self._topdis_random.load_state(state["topdis_random"])
        self.means = RunningMeans(state["averages"])
        self._latent_weights = None


class RunningMeans:
    """Means by name since the last `take`; part of a run's state, so that a resumed log is the same.

    >>> means = RunningMeans()
    >>> means.add({"loss": 1.0}); means.add({"loss": 3.0, "topdis": 5.0})
    >>> means.take()
    {'loss': 2.0, 'topdis': 5.0}
    """

    def __init__(self, sums: Mapping[str, tuple[float, int]] | None = None) -> None:
        self._sums = dict(sums or {})

    def add(self, values: Mapping[str, float]) -> None:
        """Add the values of one step."""
        for name, value in values.items():
            total, count = self._sums.get(name, (0.0, 0))
            self._sums[name] = (total + value, count + 1)

    def take(self) -> dict[str, float]:
        """Return the means and reset."""
        means = {name: total / count for name, (total, count) in self._sums.items()}
        self._sums = {}
        return means

    def state(self) -> dict[str, tuple[float, int]]:
        """Return what the constructor takes."""
        return dict(self._sums)


def _read(
    terms: Mapping[str, Tensor | float], vector: Tensor | None = None
) -> tuple[dict[str, float], list[float] | None]:
    """Read scalar terms and a vector from the device together."""
    found = [term.detach().float() for term in terms.values() if isinstance(term, Tensor)]
    found += [] if vector is None else [vector.float()]
    read = iter(move_together(found, "cpu"))
    values = {name: next(read).item() if isinstance(term, Tensor) else float(term) for name, term in terms.items()}
    return values, None if vector is None else next(read).tolist()


def _initialize(settings: TrainSettings, data: DataSet, device: torch.device) -> tuple[AutoEncoder, Method]:
    """Return model and method with the seed's weights, independent of earlier draws in this process."""
    spec = DataSpec(
        num_images=len(data),
        image_shape=data.image_shape,
        num_latents=settings.num_latents,
        learning_rate=settings.learning_rate,
        device=device,
    )
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(settings.seed)  # torch.manual_seed would reseed every GPU too
        model = build_networks(
            settings.network,
            image_shape=data.image_shape,
            num_latents=settings.num_latents,
            width=settings.width,
            initial_weights=settings.initial_weights,
        )
        return model, create_method(settings.method, settings.options, spec)
