import pytest
import torch

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.evaluation.recovery import coordinate_recovery, recovery


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


def test_coordinates_match_up_to_sign_scale_and_offset() -> None:
    true = torch.randn(500, 3, generator=torch.Generator().manual_seed(0))
    found = coordinate_recovery(2 - 3 * true[:, [1, 2, 0]], true)
    assert found.worst == pytest.approx(1)
    assert found.matched == (2, 0, 1)


def test_coordinates_of_other_codes_or_without_variation_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match=r"\(n, K\)"):
        coordinate_recovery(torch.zeros(4, 2), torch.zeros(5, 2))
    with pytest.raises(InvalidArgumentError, match="zero"):
        coordinate_recovery(torch.ones(4, 2), torch.ones(4, 2))
