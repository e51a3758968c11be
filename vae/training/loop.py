"""One training, step by step: draw, encode, decode, add the terms up, take Adam's step, let the method do its own.

`Training` holds everything that a step changes and gives it out as a tree of tensors and numbers, so that a run that
is stopped and resumed takes the very same steps: weights, optimisers, the method's discriminator or controller, the
random streams, and the running means of the log. TopDis draws from a stream of its own, so that a training with it and
its companion without see the same batches and noise.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from ganspace_topdis.errors import CheckpointError, TopdisError
from vae.data import DataSet
from vae.networks import AutoEncoder, Posterior, build_networks
from vae.objectives.methods import create_objective
from vae.objectives.objective import Objective, Penalty, Problem, StepDone
from vae.objectives.terms import reconstruction_loss
from vae.topdis import TopDisTerm
from vae.training.averages import Averages
from vae.training.batches import Batches
from vae.training.gradients import step_gradient
from vae.training.random_streams import Random
from vae.training.runtime import Compiled, prepare
from vae.training.settings import TrainSettings

__all__ = ["Training"]


class Training:
    """A training that can be taken step by step, stopped, and resumed.

    Args:
        settings: see `TrainSettings`.
        data: the data set, opened.
        device: where the work is done.
        features: what TopDis compares, logits (N, C, H, W) -> (N, ...); that of the settings by default.
        compiled: see `vae.training.runtime`.
        resident: whether the whole data set is put on the device.
    """

    def __init__(
        self,
        settings: TrainSettings,
        data: DataSet,
        *,
        device: torch.device | str = "cpu",
        features: Callable[[Tensor], Tensor] | None = None,
        compiled: Compiled = "none",
        resident: bool = False,
    ) -> None:
        self.settings, self.device = settings, torch.device(device)
        self.model, self.objective = _fresh(settings, data, self.device)
        prepare(self.model, device=self.device, precision=settings.precision, compiled=compiled)
        self._parameters = list(self.model.parameters())
        first, second = settings.adam_betas
        self.optimizer = torch.optim.Adam(
            self._parameters, lr=settings.learning_rate, betas=(first, second), eps=1e-8, fused=True
        )
        self._topdis = None if settings.topdis is None else TopDisTerm(settings.topdis, features)
        self._batches = Batches(data, settings.batch_size, self.device, resident=resident)
        self._random, self._topdis_random = (Random(settings.seed, stream, self.device) for stream in (0, 1))
        self.averages = Averages()
        self.step_index = 0

    @property
    def finished(self) -> bool:
        """Whether all steps were taken."""
        return self.step_index >= self.settings.steps

    def step(self) -> dict[str, float]:
        """Take one step; return the values of its terms.

        Raises:
            TopdisError: a term or its gradient is not finite; the autoencoder is still what it was before the step.
        """
        images = self._batches.draw(self._random.host)
        posterior = self.model.posterior(images, self._random.device)
        logits = self.model.decode(posterior.sample).float()
        reconstruction = reconstruction_loss(logits, images, self.settings.likelihood)
        penalty = self.objective.penalty(posterior, self.step_index)
        values = self._finite({"reconstruction": reconstruction, **penalty.report, "penalty": penalty.loss})
        topdis = self._topdis_loss(posterior, logits)
        values |= {} if topdis is None else self._finite({"topdis": topdis})
        self._move(reconstruction, penalty, topdis)
        after = self.objective.after_step(self._done(images, posterior))
        values |= {name: float(value) for name, value in after.items()}
        values = {"loss": self._total(values), **values}
        self.step_index += 1
        self.averages.add(values)
        return values

    def _topdis_loss(self, posterior: Posterior, logits: Tensor) -> Tensor | None:
        """The TopDis loss, where it has set in; `logits` are those of the posterior's sample."""
        term, random = self._topdis, self._topdis_random
        if term is None or self.step_index < term.settings.delay or not term.settings.weight:
            return None
        choice = term.choose(self.model, random.host)
        if term.settings.batch == "same":
            return term(self.model, posterior, choice, decoded=logits)
        second = self.model.posterior(self._batches.draw(random.host), random.device)
        return term(self.model, second, choice)

    def _finite(self, terms: Mapping[str, Tensor | float]) -> dict[str, float]:
        """The values of scalar terms; one that is not finite ends the training."""
        tensors = [torch.as_tensor(value, device=self.device).detach() for value in terms.values()]
        values = dict(zip(terms, torch.stack(tensors).tolist(), strict=True))
        for name, value in values.items():
            if not math.isfinite(value):
                raise TopdisError(self._advice(f"{name} is {value}"))
        return values

    def _total(self, values: Mapping[str, float]) -> float:
        return values["reconstruction"] + self._ramp() * values["penalty"] + self._weight() * values.get("topdis", 0.0)

    def _move(self, reconstruction: Tensor, penalty: Penalty, topdis: Tensor | None) -> None:
        try:
            gradient = step_gradient(
                self._parameters,
                reconstruction=reconstruction,
                penalty=self._ramp() * penalty.loss,
                topdis=None if topdis is None else self._weight() * topdis,
                orthogonalize="none" if self.settings.topdis is None else self.settings.topdis.orthogonalize,
            )
        except TopdisError as error:
            raise TopdisError(self._advice(str(error))) from error
        for parameter, part in zip(self._parameters, gradient, strict=True):
            parameter.grad = part
        if self.max_grad_norm is not None:
            torch.nn.utils.clip_grad_norm_(self._parameters, self.max_grad_norm)
        self.optimizer.step()

    def _done(self, images: Tensor, posterior: Posterior) -> StepDone:
        def second_posterior() -> Posterior:
            with torch.no_grad():
                return self.model.posterior(self._batches.draw(self._random.host), self._random.device)

        return StepDone(
            step=self.step_index,
            model=self.model,
            optimizer=self.optimizer,
            posterior=posterior.detach(),
            images=images,
            second_posterior=second_posterior,
            generator=self._random.device,
            max_grad_norm=self.max_grad_norm,
        )

    @property
    def max_grad_norm(self) -> float | None:
        """What the gradient's norm is clipped to."""
        chosen = self.settings.max_grad_norm
        return self.objective.max_grad_norm if chosen is None else chosen

    def _ramp(self) -> float:
        return min((self.step_index + 1) / self.settings.ramp_steps, 1.0) if self.settings.ramp_steps else 1.0

    def _weight(self) -> float:
        return 0.0 if self.settings.topdis is None else self.settings.topdis.weight

    def _advice(self, what: str) -> str:
        return f"{what} at step {self.step_index}; lower the learning rate or the weight of that term"

    def state(self) -> dict[str, Any]:
        """Everything that the coming steps depend on, for `runs.trees.flatten`."""
        return {
            "step": self.step_index,
            "image_shape": self.model.image_shape,
            "model": dict(self.model.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "objective": self.objective.state(),
            "random": self._random.state(),
            "topdis_random": self._topdis_random.state(),
            "averages": self.averages.state(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave. On another kind of device other noise is drawn, with a warning.

        Raises:
            CheckpointError: another version of this package gave it.
        """
        if state.keys() != self.state().keys():
            raise CheckpointError("the checkpoint is of another version of topdis-gan; choose another --out")
        self.step_index = state["step"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.objective.load_state(state["objective"])
        self._random.load_state(state["random"])
        self._topdis_random.load_state(state["topdis_random"])
        self.averages = Averages(state["averages"])


def _fresh(settings: TrainSettings, data: DataSet, device: torch.device) -> tuple[AutoEncoder, Objective]:
    """Model and objective with the weights that the seed means, whatever was drawn before in this process."""
    problem = Problem(
        num_images=len(data),
        image_shape=data.image_shape,
        num_latents=settings.num_latents,
        learning_rate=settings.learning_rate,
        device=device,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = build_networks(
            settings.network,
            image_shape=data.image_shape,
            num_latents=settings.num_latents,
            width=settings.width,
            initial_weights=settings.initial_weights,
        )
        return model, create_objective(settings.method, settings.options, problem)
