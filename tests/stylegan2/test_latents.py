import io
import os
import pickle

import numpy as np
import pytest
import torch

from ganspace_topdis.errors import CheckpointError, InvalidArgumentError
from stylegan2 import Generator, latents
from stylegan2.latents import fit_latents, read_latents
from stylegan2.space import LatentSpace

CODES = torch.randn(2, 4, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def generator() -> Generator:
    torch.manual_seed(0)
    return Generator(z_dim=6, w_dim=8, img_resolution=8, num_mapping_layers=1, channel_base=64).eval()


def save_npy(path):
    np.save(path, CODES.numpy())


def save_npz(path):
    np.savez(path, w=CODES.numpy())


def save_npz_of_one_array(path):
    np.savez_compressed(path, something=CODES.numpy())


def save_pt(path):
    torch.save(CODES, path)


def save_pt_on_old_torch(path):
    torch.save(CODES, path, _use_new_zipfile_serialization=False)


def save_pt_under_a_key(path):
    torch.save({"latent": CODES, "loss": 0.1}, path)


def save_rosinality(path):
    torch.save({f"{k}.png": {"img": torch.zeros(3), "latent": code, "noise": []} for k, code in enumerate(CODES)}, path)


def save_list(path):
    torch.save(list(CODES), path)


@pytest.mark.parametrize(
    "extra",
    [
        torch.empty(0),
        torch.zeros(2, dtype=torch.complex64),
        torch.zeros(2, dtype=torch.uint16),
        np.str_("ffhq"),
        np.datetime64("2020-01-01"),
        np.array(["a"]),
        10**200,
    ],
    ids=lambda value: str(getattr(value, "dtype", "integer")),
)
@pytest.mark.parametrize("zipped", [True, False])
def test_what_lies_beside_the_codes_does_not_matter(tmp_path, extra, zipped):
    torch.save({"losses": extra, "w": CODES}, tmp_path / "codes.pt", _use_new_zipfile_serialization=zipped)
    assert torch.equal(read_latents(tmp_path / "codes.pt"), CODES)


@pytest.mark.parametrize(
    ("codes", "words"),
    [
        (torch.empty(0, 8), "without elements"),
        (torch.zeros(2, 8, dtype=torch.complex64), "of complex numbers"),
        ([torch.zeros(8), torch.zeros(4, 8)], r"different shapes, \(4, 8\) and \(8,\)"),
    ],
)
def test_codes_that_cannot_be_used_say_why(tmp_path, codes, words):
    torch.save({"w": codes} if isinstance(codes, torch.Tensor) else codes, tmp_path / "codes.pt")
    with pytest.raises(CheckpointError, match=words):
        read_latents(tmp_path / "codes.pt")


@pytest.mark.parametrize("name", ["z", "w", "w+", "s"])
def test_an_empty_array_of_codes_is_refused(generator, name):
    space = LatentSpace(generator=generator, name=name)
    with pytest.raises(InvalidArgumentError, match=r"shape \(0, \d+\), no codes"):
        fit_latents(torch.empty(0, space.code_dim), space)


@pytest.mark.parametrize(
    "save",
    [
        save_list,
        save_npy,
        save_npz,
        save_npz_of_one_array,
        save_pt,
        save_pt_on_old_torch,
        save_pt_under_a_key,
        save_rosinality,
    ],
)
def test_codes_of_every_program_are_read_unchanged_under_any_file_name(tmp_path, save):
    with (tmp_path / "codes").open("wb") as file:
        save(file)
    assert torch.equal(read_latents(tmp_path / "codes"), CODES)


def numpy_bytes(write, *args, **kwargs):
    buffer = io.BytesIO()
    write(buffer, *args, **kwargs)
    return buffer.getvalue()


class Hostile:
    def __reduce__(self):
        return os.mkdir, ("hostile",)


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_bytes(pickle.dumps(Hostile())),
        lambda path: torch.save(Hostile(), path),
        lambda path: path.write_bytes(numpy_bytes(np.save, np.array([Hostile()], dtype=object), allow_pickle=True)),
        lambda path: path.write_bytes(numpy_bytes(np.savez, w=np.array([Hostile()], dtype=object))),
        lambda path: path.write_bytes(numpy_bytes(np.savez, a=np.zeros(3), b=np.zeros(3))),
        lambda path: path.write_bytes(numpy_bytes(np.save, np.array(["text"]))),
        lambda path: path.write_bytes(numpy_bytes(np.save, np.full(8, np.nan))),
        lambda path: torch.save({"other": CODES}, path),
        lambda path: torch.save([], path),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, "),
        lambda path: path.write_bytes(b"PK\x03\x04 no archive"),
        lambda path: path.mkdir(),
        lambda path: None,
    ],
)
def test_a_file_without_codes_is_refused_by_name_and_nothing_in_it_runs(tmp_path, monkeypatch, write):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "bad.pt"
    write(path)
    with pytest.raises(CheckpointError, match=r"bad\.pt"):
        read_latents(path)
    assert not (tmp_path / "hostile").exists()


def test_an_array_that_is_too_large_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(latents, "_MOST_BYTES", 5000)
    np.savez_compressed(tmp_path / "bomb.npz", w=np.zeros(10_000))
    with pytest.raises(CheckpointError, match="unpacked"):
        read_latents(tmp_path / "bomb.npz")


@pytest.mark.parametrize(
    ("shape", "count"), [((8,), 1), ((3, 8), 3), ((4, 8), 1), ((1, 4, 8), 1), ((5, 4, 8), 5), ((2, 1, 8), 2)]
)
def test_codes_of_w_are_returned_as_one_style_per_layer(generator, shape, count):
    codes = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    fitted = fit_latents(codes, LatentSpace(generator=generator))
    assert fitted.shape == (count, 4, 8)
    assert torch.equal(fitted[0, 0], codes.reshape(-1, 8)[0])


def test_styles_become_channels_in_space_s(generator):
    space = LatentSpace(generator=generator, name="s")
    fitted = fit_latents(CODES, space)
    assert torch.allclose(space.images(fitted), generator.synthesis(CODES), atol=1e-5)
    assert torch.equal(fit_latents(fitted, space), fitted)


def test_styles_of_all_layers_are_one_row_in_w_plus(generator):
    space = LatentSpace(generator=generator, name="w+")
    fitted = fit_latents(CODES, space)
    assert fitted.shape == (len(CODES), 4 * 8)
    assert torch.allclose(space.images(fitted), generator.synthesis(CODES), atol=1e-5)
    assert torch.equal(fit_latents(fitted, space), fitted)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("w+", (3, 9)),
        ("w", (7,)),
        ("w", (2, 5, 8)),
        ("w", (1, 1, 4, 8)),
        ("z", (1, 4, 8)),
        ("z", (8,)),
        ("s", (3, 9)),
    ],
)
def test_a_wrong_width_or_number_of_layers_is_refused_with_the_allowed_shapes(generator, name, shape):
    with pytest.raises(InvalidArgumentError, match=r"`latents` has shape .* this generator takes"):
        fit_latents(torch.zeros(shape), LatentSpace(generator=generator, name=name))
