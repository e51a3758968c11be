import pytest
import torch

from ganspace_topdis.discovery import discover_directions
from ganspace_topdis.discovery.methods.contrastive import contrastive_loss
from ganspace_topdis.evaluation.recovery import recovery
from tests.discovery.methods.additive import rotation, sample_codes


def changes(count: int = 3, num_codes: int = 4) -> torch.Tensor:
    return torch.randn(count, num_codes, 20, generator=torch.Generator().manual_seed(0))


def test_the_loss_is_that_of_the_formula_written_out():
    d = torch.nn.functional.normalize(changes(), dim=2)
    terms = []
    for k in range(3):
        for n in range(4):
            same = sum((2 * d[k, n] @ d[k, m]).exp() for m in range(4) if m != n)
            other = sum((2 * d[k, n] @ d[j, m]).exp() for j in range(3) if j != k for m in range(4))
            terms.append(-torch.log(same / other))
    assert contrastive_loss(changes()).item() == pytest.approx(torch.stack(terms).mean().item(), rel=1e-5)


def test_the_length_of_a_change_does_not_count():
    assert contrastive_loss(changes()).item() == pytest.approx(contrastive_loss(7 * changes()).item(), rel=1e-5)


def saturating(codes: torch.Tensor) -> torch.Tensor:
    """Each rotated coordinate pulls one way, the less the farther it is: only its axes change all codes alike."""
    return torch.tanh(2 * codes @ rotation().T) @ torch.linalg.qr(torch.randn(12, 6, generator=rng(3)))[0].T


def rng(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_axes_that_change_all_codes_alike_are_found():
    found = discover_directions(
        saturating, sample_codes, method="contrastive", span="identity", steps=150, batch_size=32
    )
    assert recovery(found.vectors, rotation()).mean > 0.9
