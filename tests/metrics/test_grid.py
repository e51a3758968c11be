import numpy as np
import pytest

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.metrics.grid import FactorGrid


def test_rows_are_numbered_with_the_last_factor_fastest() -> None:
    sizes = (2, 1, 3, 4)
    values = np.stack(np.unravel_index(np.arange(24), sizes), axis=1)
    assert FactorGrid(np.zeros((24, 2)), sizes).rows(values).tolist() == list(range(24))


def test_a_factor_of_one_value_is_never_drawn() -> None:
    grid = FactorGrid(np.zeros((6, 1)), (1, 2, 3))
    assert set(grid.draw_factor(100, np.random.default_rng(0)).tolist()) == {1, 2}


@pytest.mark.parametrize("sizes", [(2, 2), (), (6, 0), (-2, -3)])
def test_sizes_that_do_not_make_the_grid_are_refused(sizes: tuple[int, ...]) -> None:
    with pytest.raises(InvalidArgumentError, match="factor_sizes"):
        FactorGrid(np.zeros((6, 1)), sizes)
