"""Running means of a step's values, for the log; they belong to a run's state, so that a resumed log is the same."""

from collections.abc import Mapping

__all__ = ["Averages"]


class Averages:
    """Means by name since the last `take`.

    >>> averages = Averages()
    >>> averages.add({"loss": 1.0}); averages.add({"loss": 3.0, "topdis": 5.0})
    >>> averages.take()
    {'loss': 2.0, 'topdis': 5.0}
    """

    def __init__(self, sums: Mapping[str, tuple[float, int]] | None = None) -> None:
        self._sums = dict(sums or {})

    def add(self, values: Mapping[str, float]) -> None:
        """Count the values of one more step."""
        for name, value in values.items():
            total, count = self._sums.get(name, (0.0, 0))
            self._sums[name] = (total + value, count + 1)

    def take(self) -> dict[str, float]:
        """The means; begin anew."""
        means = {name: total / count for name, (total, count) in self._sums.items()}
        self._sums = {}
        return means

    def state(self) -> dict[str, tuple[float, int]]:
        """What the constructor takes."""
        return dict(self._sums)
