import pytest
import torch

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.evaluation.recovery import recovery


def test_order_sign_and_length_do_not_count() -> None:
    true = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(0)))[0]
    found = recovery(-3 * true[[2, 0, 3, 1]], true)
    assert found.worst == pytest.approx(1)
    assert found.matched == (1, 3, 0, 2)


def test_a_missing_direction_counts_as_zero() -> None:
    found = recovery(torch.tensor([[1.0, 0.0]]), torch.eye(2))
    assert found.cosines == (1.0, 0.0)
    assert found.as_dict()["matched"] == (0, -1)


@pytest.mark.parametrize("found", [torch.zeros(2, 2), torch.full((1, 2), torch.nan), torch.ones(2, 3)])
def test_directions_without_direction_are_refused(found: torch.Tensor) -> None:
    with pytest.raises(InvalidArgumentError):
        recovery(found, torch.eye(2))
