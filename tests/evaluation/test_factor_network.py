import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ganspace_topdis.errors import CheckpointError, InvalidArgumentError
from ganspace_topdis.evaluation.factor_network import (
    FactorNetwork,
    Readings,
    change,
    factor_loss,
    read_logits,
    soft_labels,
    unwrapped,
)
from ganspace_topdis.factors import Factor
from ganspace_topdis.runs.checksummed import save_checksummed


@pytest.mark.parametrize("wrong", [{"name": ""}, {"size": 0}, {"size": True}, {"size": 2.0}, {"kind": "spiral"}])
def test_a_wrong_factor_is_refused(wrong: dict[str, object]) -> None:
    right: dict[str, object] = {"name": "hue", "size": 10, "kind": "circular"}
    with pytest.raises(InvalidArgumentError):
        Factor(**{**right, **wrong})  # type: ignore[arg-type]


def test_factors_compare_by_value() -> None:
    assert Factor("hue", 10, "circular") == Factor("hue", 10, "circular") != Factor("hue", 10, "linear")


FACTORS = (Factor("scale", 8), Factor("hue", 10, "circular"), Factor("shape", 4, "categorical"))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    return FactorNetwork(FACTORS, resolution=32, width=8).save(tmp_path / "net.safetensors", {"accuracy": 0.5})


@pytest.mark.parametrize("resolution", [32, 64])
def test_the_default_network_is_small(resolution: int) -> None:
    num_parameters = sum(p.numel() for p in FactorNetwork(FACTORS, resolution=resolution).parameters())
    assert 100_000 < num_parameters < 250_000


@given(value=st.floats(0, 7))
def test_soft_labels_of_a_linear_factor_keep_the_value_as_expected_index(value: float) -> None:
    labels = soft_labels(FACTORS[0], torch.tensor([value]))
    assert labels.sum().item() == pytest.approx(1)
    assert (labels[0] @ torch.arange(8.0)).item() == pytest.approx(value, abs=1e-5)


@given(value=st.floats(0, 10))
def test_soft_labels_of_a_circular_factor_have_the_period_of_its_size(value: float) -> None:
    labels = soft_labels(FACTORS[1], torch.tensor([value, value + 10]))
    torch.testing.assert_close(labels[0], labels[1], atol=1e-5, rtol=0)


def test_soft_labels_name_the_nearest_category() -> None:
    assert soft_labels(FACTORS[2], torch.tensor([2.4])).tolist() == [[0, 0, 1, 0]]


def test_the_loss_is_least_where_the_probabilities_are_the_labels() -> None:
    values = torch.tensor([[2.25, 9.5, 1.0]])
    labels = [soft_labels(f, v) for f, v in zip(FACTORS, values.unbind(1), strict=True)]
    exact = factor_loss(FACTORS, [(each + 1e-12).log() for each in labels], values)
    other = factor_loss(FACTORS, [torch.zeros_like(each) for each in labels], values)
    entropy = -sum((each[each > 0] * each[each > 0].log()).sum() for each in labels)
    torch.testing.assert_close(exact, torch.as_tensor(entropy))
    assert other > exact


def test_a_network_learns_a_circular_and_a_linear_value() -> None:
    torch.manual_seed(0)
    factors = (Factor("level", 5), Factor("phase", 6, "circular"))
    network = FactorNetwork(factors, resolution=16, width=8)
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)

    def draw(num: int) -> tuple[torch.Tensor, torch.Tensor]:
        values = torch.rand(num, 2) * torch.tensor([4.0, 6.0])
        angle = values[:, 1] * (torch.pi / 3)
        planes = torch.stack([values[:, 0] / 2 - 1, angle.sin(), angle.cos()], dim=1)
        return planes[:, :, None, None].expand(-1, -1, 16, 16), values

    for _ in range(150):
        images, values = draw(64)
        loss = factor_loss(factors, network(images), values)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    images, values = draw(200)
    readings = network.read(images, batch_size=64)
    assert (readings.values[0] * 4 - values[:, 0]).abs().mean() < 0.25
    turn = torch.remainder(readings.values[1] - values[:, 1] * (torch.pi / 3) + torch.pi, 2 * torch.pi) - torch.pi
    assert turn.abs().mean() < 0.25


def test_reading_in_batches_is_reading_at_once() -> None:
    network = FactorNetwork(FACTORS, resolution=16, width=4)
    images = torch.randn(5, 3, 16, 16)
    at_once = read_logits(FACTORS, network(images))
    for a, b in zip(network.read(images, batch_size=2).values, at_once.values, strict=True):
        torch.testing.assert_close(a, b)


def test_a_saved_network_loads_with_the_same_readings(saved: Path) -> None:
    torch.manual_seed(0)
    network = FactorNetwork(FACTORS, resolution=32, width=8)
    loaded = FactorNetwork.load(saved)
    images = torch.randn(3, 3, 32, 32)
    assert all(torch.equal(a, b) for a, b in zip(network(images), loaded(images), strict=True))
    assert loaded.factors == FACTORS
    assert FactorNetwork.metadata_of(saved) == {"accuracy": 0.5}


@pytest.mark.parametrize("from_end", [1, 5000])
def test_a_flipped_bit_is_noticed(saved: Path, from_end: int) -> None:
    data = bytearray(saved.read_bytes())
    data[-from_end] ^= 1
    saved.write_bytes(bytes(data))
    with pytest.raises(CheckpointError, match="damaged"):
        FactorNetwork.load(saved)


def test_a_missing_file_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no file"):
        FactorNetwork.load(tmp_path / "nothing.safetensors")


def test_another_kind_of_file_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_checksummed(path, {"x": torch.zeros(2)}, {"format": "something else"})
    with pytest.raises(CheckpointError, match="no factor network"):
        FactorNetwork.load(path)


@pytest.mark.parametrize("shape", [(1, 3, 48, 48), (1, 3, 16, 16), (1, 3, 32, 64), (1, 1, 32, 32), (3, 32, 32), (32,)])
def test_images_of_another_size_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidArgumentError, match="resize"):
        FactorNetwork(FACTORS, resolution=32)(torch.zeros(shape))


def test_larger_images_are_read_as_the_means_of_their_pixels() -> None:
    network, images = FactorNetwork(FACTORS, resolution=16, width=4), torch.randn(2, 3, 16, 16)
    larger = images.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)
    for a, b in zip(network(larger), network(images), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("wrong", [{"resolution": 48}, {"width": 0}, {"channels": 9}, {"factors": ()}])
def test_an_unreasonable_network_is_refused(wrong: dict[str, object]) -> None:
    right: dict[str, object] = {"factors": FACTORS, "resolution": 32}
    with pytest.raises(InvalidArgumentError):
        FactorNetwork(**{**right, **wrong})  # type: ignore[arg-type]


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
    assert len(readings) == 2


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
