import dataclasses

import numpy as np
import pytest
import torch

from ganspace_topdis.errors import CheckpointError, InvalidArgumentError
from ganspace_topdis.latent.directions import Directions
from ganspace_topdis.runs.checksummed import load_checksummed


def make_directions(num_directions: int = 3, code_dim: int = 5) -> Directions:
    rng = torch.Generator().manual_seed(1)
    span, _ = torch.linalg.qr(torch.randn(code_dim, num_directions, generator=rng))
    scales = torch.arange(1.0, num_directions + 1)
    vectors = span.T * scales[:, None]
    return Directions(
        vectors=vectors,
        dual_vectors=span.T / scales[:, None],
        mean=torch.randn(code_dim, generator=rng),
        span=span.T,
        scales=scales,
        metadata={"method": "test", "rtd_after": [0.1, 0.2, 0.3]},
    )


def codes(num_codes: int = 7, code_dim: int = 5) -> torch.Tensor:
    return torch.randn(num_codes, code_dim, generator=torch.Generator().manual_seed(2))


def test_a_move_changes_one_coordinate_by_its_amount():
    directions = make_directions()
    moved = directions.move(codes(), 1, 2.5)
    change = directions.transform(moved) - directions.transform(codes())
    assert torch.allclose(change, torch.tensor([0.0, 2.5, 0.0]).expand(7, 3), atol=1e-5)


def test_coordinates_and_codes_of_the_span_are_inverse():
    directions = make_directions()
    coordinates = codes(6, 3)
    inverse = directions.inverse_transform(coordinates)
    assert inverse.shape == (6, 5)
    assert torch.allclose(directions.transform(inverse), coordinates, atol=1e-5)
    assert torch.allclose(directions.inverse_transform(directions.transform(inverse)), inverse, atol=1e-5)
    assert torch.equal(directions.inverse_transform(torch.zeros(3)), directions.mean)


@pytest.mark.parametrize(
    ("method", "wrong", "message"),
    [
        ("transform", codes().tolist(), r"codes must be a floating-point torch.Tensor \(..., 5\), got list"),
        ("transform", codes().numpy(), "got ndarray"),
        ("transform", codes().long(), r"got torch\.int64"),
        ("transform", codes(7, 4), r"codes must be \(..., 5\), got \(7, 4\)"),
        ("inverse_transform", codes(7, 5), r"coordinates must be \(..., 3\), got \(7, 5\)"),
    ],
)
def test_arrays_of_another_kind_or_width_are_refused(method, wrong, message):
    with pytest.raises(InvalidArgumentError, match=message):
        getattr(make_directions(), method)(wrong)


def test_amounts_may_differ_by_code():
    directions = make_directions()
    amounts = torch.linspace(-3, 3, 7)
    moved = directions.move(codes(), 0, amounts)
    assert torch.allclose((moved - codes()) @ directions.dual_vectors[0], amounts, atol=1e-5)


def test_one_unit_of_calibrated_directions_is_its_standard_deviations():
    directions, units = make_directions(), [0.5, 2.0, 0.1]
    calibrated = directions.calibrated(units)
    assert calibrated.units.tolist() == pytest.approx(units)
    assert directions.units.tolist() == [1, 1, 1]
    for index, unit in enumerate(units):
        assert torch.allclose(calibrated.move(codes(), index, 2.0), directions.move(codes(), index, 2.0 * unit))
    assert torch.allclose(calibrated.transform(codes()) * torch.tensor(units), directions.transform(codes()), atol=1e-5)
    assert calibrated.score_table()["directions"][1]["unit"] == 2.0


def test_calibration_leaves_everything_that_is_measured_in_standard_deviations():
    directions = make_directions()
    calibrated = directions.calibrated([0.5, 2.0, 0.1])
    for again in (calibrated.in_sigmas(), calibrated.calibrated([3.0, 1.0, 0.2]).in_sigmas()):
        assert torch.allclose(again.vectors, directions.vectors)
        assert torch.allclose(again.dual_vectors, directions.dual_vectors)
        assert again.metadata == directions.metadata
    assert directions.in_sigmas() is directions
    for one, other in zip(calibrated.shift(codes(), 1, 0.25), directions.shift(codes(), 1, 0.25), strict=True):
        assert torch.allclose(one.float(), other.float(), atol=1e-5)
    assert calibrated.select([2, 0]).units.tolist() == pytest.approx([0.1, 0.5])
    chosen = calibrated.select([2]).in_sigmas().vectors
    assert torch.allclose(chosen, directions.vectors[2:])


@pytest.mark.parametrize("units", [[1.0, 2.0], [1.0, 0.0, 1.0], [1.0, -1.0, 1.0], [1.0, None, 1.0], "1"])
def test_a_file_with_invalid_units_is_refused(tmp_path, units):
    wrong = dataclasses.replace(make_directions(), metadata={"unit": units})
    with pytest.raises(CheckpointError, match="no usable directions"):
        Directions.load(wrong.save(tmp_path / "directions.safetensors"))


def test_only_the_named_layers_move():
    directions = make_directions()
    layered = codes()[:, None].repeat(1, 4, 1)
    moved = directions.move(layered, 2, 1.0, layers=[1, 3])
    assert torch.equal(moved[:, [0, 2]], layered[:, [0, 2]])
    assert torch.allclose(moved[:, 1], directions.move(codes(), 2, 1.0))


def test_a_shift_drops_the_same_rows_it_does_not_return():
    directions = make_directions()
    many = torch.randn(500, 5, generator=torch.Generator().manual_seed(3)) + directions.mean
    shifted, kept = directions.shift(many, 1, 0.25)
    assert 0 < len(shifted) == int(kept.sum()) < 500
    others = directions.transform(shifted)[:, [0, 2]] - directions.transform(many[kept])[:, [0, 2]]
    assert others.abs().max() < 1e-4


def test_only_the_named_layers_of_codes_side_by_side_move():
    directions = dataclasses.replace(make_directions(), layer_of=torch.tensor([0, 0, 1, 2, 2]))
    moved = directions.move(codes(), 2, 1.5, layers=[0, 2]) - codes()
    expected = 1.5 * directions.vectors[2] * torch.tensor([1.0, 1, 0, 1, 1])
    assert torch.allclose(moved, expected.expand_as(moved), atol=1e-6)
    assert torch.equal(directions.select([2]).move(codes(), 0, 1.5), directions.move(codes(), 2, 1.5))
    with pytest.raises(InvalidArgumentError, match="`layers` \\[3\\] are out of range, allowed are 0 to 2"):
        directions.move(codes(), 0, 1.0, layers=[3])


def test_layered_codes_shift_in_all_their_layers():
    directions = make_directions()
    flat, kept = directions.shift(codes(), 0, 0.2)
    layered, kept_layered = directions.shift(codes()[:, None].repeat(1, 4, 1), 0, 0.2)
    assert torch.equal(kept, kept_layered)
    assert torch.allclose(layered, flat[:, None].expand(-1, 4, -1))


def test_saved_directions_load_bit_for_bit(tmp_path):
    directions = make_directions()
    loaded = Directions.load(directions.save(tmp_path / "directions.safetensors"))
    for name in ("vectors", "dual_vectors", "mean", "span", "scales"):
        assert torch.equal(getattr(loaded, name), getattr(directions, name))
    assert loaded.metadata == directions.metadata


def test_the_names_of_the_tensors_in_a_file_stay(tmp_path):
    tensors, _ = load_checksummed(make_directions().save(tmp_path / "directions.safetensors"))
    assert set(tensors) == {"vectors", "readouts", "mean", "span", "scales"}


def test_a_run_folder_is_a_path_to_its_directions(tmp_path):
    make_directions().save(tmp_path / "directions.safetensors")
    assert Directions.load(tmp_path).num_directions == 3


def test_every_flipped_byte_is_detected(tmp_path):
    path = make_directions().save(tmp_path / "d.safetensors")
    data = path.read_bytes()
    for position in range(0, len(data), 7):
        path.write_bytes(data[:position] + bytes([data[position] ^ 4]) + data[position + 1 :])
        with pytest.raises(CheckpointError):
            Directions.load(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a zip", b"\x89PNG"])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "directions.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="directions"):
        Directions.load(path)


def test_the_error_of_a_folder_without_directions_names_the_command(tmp_path):
    with pytest.raises(CheckpointError, match="topdis-gan discover"):
        Directions.load(tmp_path)


def test_selected_directions_keep_their_order():
    directions = make_directions()
    chosen = directions.select([2, 0], note="best first")
    assert torch.equal(chosen.vectors, directions.vectors[[2, 0]])
    assert chosen.metadata["note"] == "best first"


def test_selected_directions_keep_their_scores():
    table = make_directions().select([2, 0]).score_table()
    assert [row["rtd_after"] for row in table["directions"]] == [0.3, 0.1]


def test_wrong_arguments_are_named():
    directions = make_directions()
    with pytest.raises(InvalidArgumentError, match="direction 3 does not exist, allowed are 0 to 2"):
        directions.move(codes(), 3, 1.0)
    with pytest.raises(InvalidArgumentError, match="codes must be"):
        directions.move(torch.zeros(4, 6), 0, 1.0)
    with pytest.raises(InvalidArgumentError, match="`layers` \\[4\\] are out of range"):
        directions.move(torch.zeros(2, 4, 5), 0, 1.0, layers=[4])
    with pytest.raises(InvalidArgumentError, match="`layers` need codes"):
        directions.move(codes(), 0, 1.0, layers=[0])
    with pytest.raises(InvalidArgumentError, match="must have the same shape"):
        dataclasses.replace(directions, dual_vectors=directions.dual_vectors[:1])


@pytest.mark.parametrize("cast", [torch.Tensor.long, torch.Tensor.numpy])
def test_codes_that_are_no_floating_point_tensor_are_refused(cast):
    with pytest.raises(InvalidArgumentError, match=r"codes must be a floating-point torch.Tensor \(N, 5\), got"):
        make_directions().move(cast(torch.zeros(2, 5)), 0, 1.5)


@pytest.mark.parametrize("units", [[1, 2], [0, 1, 2], [-1, 1, 1], [1, 1, float("inf")]])
def test_units_are_positive_numbers_one_for_each_direction(units):
    with pytest.raises(InvalidArgumentError, match="units must be 3 positive numbers"):
        make_directions().calibrated(units)


def test_units_may_be_an_array(tmp_path):
    calibrated = make_directions().calibrated(np.array([1, 2, 3], np.float32))
    assert Directions.load(calibrated.save(tmp_path / "found.safetensors")).metadata["unit"] == [1.0, 2.0, 3.0]


def test_amounts_are_one_number_or_one_for_each_code():
    directions = make_directions()
    amounts = torch.arange(7.0)
    assert torch.equal(directions.move(codes(), 1, amounts)[3], directions.move(codes(), 1, 3.0)[3])
    with pytest.raises(InvalidArgumentError, match=r"one number or one for each of 7 codes, got \(3,\)"):
        directions.move(codes(), 1, torch.arange(3.0))
    with pytest.raises(InvalidArgumentError, match="direction True does not exist"):
        directions.move(codes(), True, 1.0)


def test_the_fingerprint_is_that_of_the_numbers():
    directions = make_directions()
    learning = dataclasses.replace(directions, vectors=directions.vectors.clone().requires_grad_())
    assert learning.fingerprint == directions.fingerprint
    assert dataclasses.replace(directions, vectors=directions.vectors.bfloat16()).fingerprint != directions.fingerprint


def test_coordinates_are_exact_under_autocast():
    directions = make_directions()
    expected = directions.shift(codes(), 1, 0.2)[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(directions.shift(codes(), 1, 0.2)[0], expected)
