import math

import pytest
import torch

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.evaluation.factors import Factor
from ganspace_topdis.evaluation.readings import Readings, change, read_logits, unwrapped

LINE = Factor("scale", 5)
CIRCLE = Factor("hue", 8, "circular")
NAMES = Factor("shape", 3, "categorical")


def certain(factor: Factor, *indices: int) -> torch.Tensor:
    return 100.0 * torch.nn.functional.one_hot(torch.tensor(indices), factor.size).float()


def test_certain_logits_read_as_the_value_itself() -> None:
    logits = [certain(LINE, 0, 4), certain(CIRCLE, 2, 7), certain(NAMES, 1, 2)]
    readings = read_logits((LINE, CIRCLE, NAMES), logits)
    torch.testing.assert_close(readings.values[0], torch.tensor([0.0, 1.0]))
    torch.testing.assert_close(readings.values[1], torch.tensor([math.pi / 2, -math.pi / 4]))
    torch.testing.assert_close(readings.values[2], torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))
    torch.testing.assert_close(readings.confidence, torch.ones(2, 3))


def test_a_circular_change_takes_the_short_way_round() -> None:
    readings = read_logits((CIRCLE,), [certain(CIRCLE, 0, 7, 4)])
    changes = change(readings.select(torch.tensor([0, 0])), readings.select(torch.tensor([1, 2])))
    torch.testing.assert_close(changes[:, 0], torch.tensor([math.pi / 4, math.pi]))


def test_a_change_of_name_is_a_total_variation_of_one() -> None:
    readings = read_logits((NAMES,), [certain(NAMES, 0, 1)])
    assert change(readings.select(slice(0, 1)), readings.select(slice(1, 2))).item() == pytest.approx(1.0)


def test_a_reading_does_not_differ_from_itself() -> None:
    logits = [torch.randn(6, factor.size, generator=torch.Generator().manual_seed(1)) for factor in (LINE, CIRCLE)]
    readings = read_logits((LINE, CIRCLE), logits)
    assert change(readings, readings).abs().max() == 0


def test_readings_of_different_factors_are_not_compared() -> None:
    a = read_logits((LINE,), [certain(LINE, 0)])
    b = read_logits((NAMES,), [certain(NAMES, 0)])
    with pytest.raises(InvalidArgumentError, match="different factors"):
        change(a, b)


def test_unwrapping_follows_a_path_over_the_seam() -> None:
    straight = torch.linspace(0, 3 * math.pi, 13)[None]
    wrapped = torch.remainder(straight + math.pi, 2 * math.pi) - math.pi
    torch.testing.assert_close(unwrapped(wrapped), straight)


def test_concatenated_selections_are_the_whole() -> None:
    whole = read_logits((LINE, NAMES), [torch.randn(5, 5), torch.randn(5, 3)])
    again = Readings.concatenate([whole.select(slice(0, 2)), whole.select(slice(2, 5))])
    assert len(again) == 5
    assert all(torch.equal(a, b) for a, b in zip(whole.values, again.values, strict=True))
