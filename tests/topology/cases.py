"""What must hold of the barcode of any pair, checked on random pairs of every kind.

    OMP_NUM_THREADS=1 python -m tests.topology.cases --cases 100000 --seed 1

prints how many pairs of which kind and size were checked; it stops at the first that fails, naming its seed.
"""

import argparse
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from ganspace_topdis.topology import cross_barcode
from ganspace_topdis.topology.backend import reference_barcode
from tests.topology.pairs import KINDS, SIZES_AROUND_WORDS, TAME, pair_of_kind, sorted_bars
from tests.topology.rank_reference import bars_by_ranks

MAX_POINTS_OF_RANKS = 9


def check_pair(outer: NDArray, inner: NDArray, order: NDArray[np.int64]) -> None:
    """The bars are ripser's, the definition's if there are few points, in order of death, and blind to labels."""
    bars = cross_barcode(outer, inner)
    ours = sorted_bars(bars)
    tolerance = 1e-6 * max(outer.max(initial=0), 1e-300)
    expected = [reference_barcode(outer, inner)]
    if len(outer) <= MAX_POINTS_OF_RANKS:
        expected.append(bars_by_ranks(outer, inner))
    for theirs in expected:
        assert ours.shape == theirs.shape, f"{len(ours)} bars instead of {len(theirs)}"
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance)
    assert (bars.births < bars.deaths).all()
    assert (np.diff(bars.deaths) >= 0).all()
    i, j = bars.death_edges.T
    assert (bars.births == inner[bars.birth_edges[:, 0], bars.birth_edges[:, 1]]).all()
    assert (bars.deaths == np.where(bars.death_in_outer, outer[i, j], inner[i, j])).all()
    relabeled = cross_barcode(outer[np.ix_(order, order)], inner[np.ix_(order, order)])
    assert (sorted_bars(relabeled) == ours).all()


def random_size(rng: np.random.Generator) -> int:
    """Mostly few points: ripser takes seconds for a hundred where many distances are equal."""
    chance = rng.random()
    if chance < 0.55:
        return int(rng.integers(1, MAX_POINTS_OF_RANKS + 1))
    if chance < 0.99:
        return int(rng.integers(10, 33))
    if chance < 0.998:
        return int(rng.integers(33, 101))
    return int(rng.choice(SIZES_AROUND_WORDS) if chance < 0.999 else rng.integers(101, 301))


def check_cases(num_cases: int, seed: int) -> Counter[tuple[str, str]]:
    """Checks as many random pairs and counts them by kind and size."""
    counts: Counter[tuple[str, str]] = Counter()
    for case in range(num_cases):
        rng = np.random.default_rng([seed, case])
        kind, n = str(rng.choice(KINDS)), random_size(rng)
        outer, inner = pair_of_kind(kind, n, rng)
        try:
            check_pair(outer, inner, rng.permutation(n))
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, case {case}, {kind}, {n} points: {error}") from error
        counts[kind, next(f"up to {top}" for top in (9, 32, 100, 300) if n <= top)] += 1
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    counts = check_cases(options.cases, options.seed)
    columns = ("up to 9", "up to 32", "up to 100", "up to 300")
    print(f"| kind | {' | '.join(f'{column} points' for column in columns)} |\n|---|---|---|---|---|")
    for kind in KINDS:
        print(f"| {kind} | {' | '.join(str(counts[kind, column]) for column in columns)} |")
    degenerate = sum(count for (kind, _), count in counts.items() if kind not in TAME)
    print(f"{counts.total()} pairs, {degenerate} of them degenerate: all equal")


if __name__ == "__main__":
    main()
