import numpy as np
import pytest
import torch

from ganspace_topdis.discovery.baselines import unit_directions
from ganspace_topdis.errors import CheckpointError, InvalidArgumentError
from stylegan2 import Generator
from stylegan2.space import SPACES, LatentSpace, codes_of_seed


@pytest.fixture(scope="module")
def generator() -> Generator:
    torch.manual_seed(0)
    made = Generator(z_dim=8, w_dim=8, img_resolution=32, num_mapping_layers=2, channel_base=256, channel_max=16)
    made.mapping.w_avg.normal_()
    return made.eval().requires_grad_(False)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("resolution", [8, None])
def test_a_code_of_any_space_gives_the_features_of_its_z(generator, name, resolution):
    spaces = [LatentSpace(generator=generator, name=each, resolution=resolution) for each in ("z", name)]
    features = [space.features(space.sample_codes(3, rng(1))) for space in spaces]
    assert torch.allclose(features[0], features[1], atol=1e-5)


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("psi", [1.0, 0.5])
@pytest.mark.parametrize("cutoff", [None, 2])
def test_a_seed_gives_the_generators_own_image_in_every_space(generator, name, psi, cutoff):
    space = LatentSpace(generator=generator, name=name).truncated(psi, cutoff)
    z = torch.from_numpy(np.concatenate([np.random.RandomState(seed).randn(1, 8) for seed in (3, 4)])).float()
    expected = generator(z, truncation_psi=psi, truncation_cutoff=cutoff)
    assert torch.allclose(space.images(space.codes_of_seeds([3, 4])), expected, atol=1e-5)


@pytest.mark.parametrize("name", ["w", "s"])
def test_a_search_sees_only_the_effect_of_the_chosen_layers(generator, name):
    space = LatentSpace(generator=generator, name=name, resolution=4, layers=(4, 5))
    features = space.features(space.sample_codes(3, rng()))
    assert torch.equal(features[0], features[1])
    assert not torch.equal(*LatentSpace(generator=generator, name=name, layers=(4, 5)).images(features_codes(space)))


def features_codes(space: LatentSpace) -> torch.Tensor:
    return space.sample_codes(2, rng())


def test_an_image_keeps_its_own_style_in_layers_that_are_not_chosen(generator):
    everywhere, chosen = (LatentSpace(generator=generator, layers=layers) for layers in (None, (0, 1)))
    assert torch.equal(chosen.images(chosen.codes_of_seeds([1])), everywhere.images(everywhere.codes_of_seeds([1])))


def test_a_gradient_flows_to_the_style_channels(generator):
    space = LatentSpace(generator=generator, name="s", resolution=8)
    codes = space.sample_codes(2, rng()).requires_grad_(True)
    (gradient,) = torch.autograd.grad(space.features(codes).square().sum(), codes)
    used = gradient.abs().sum(0) > 0
    below_8_px = 16 + 16 + 16  # b4.conv1, and both convolutions of b8; the layers that read images are not needed
    assert 0 < used.sum() <= below_8_px


def test_the_style_channels_are_those_of_the_convolutions_and_image_layers(generator):
    space = LatentSpace(generator=generator, name="s")
    widths = [16, 16, 16, 8]  # at 4, 8, 16 and 32 px
    convolutions = [16, 16 + 16, 16 + 16, 16 + 8]
    assert space.code_dim == sum(convolutions) + sum(widths)
    assert space.styles.layers == sorted(space.styles.layers)


def test_no_hook_remains(generator):
    space = LatentSpace(generator=generator, name="s")
    before = generator(torch.ones(1, 8))
    space.images(space.codes_of_seeds([7]))
    assert torch.equal(generator(torch.ones(1, 8)), before)


@pytest.mark.parametrize("name", SPACES)
def test_directions_record_their_space_and_restore_it(generator, name):
    layers = None if name in ("z", "w+") else (1, 2)
    space = LatentSpace(generator=generator, name=name, resolution=8, layers=layers, noise_mode="none")
    codes = space.sample_codes(20, rng())
    directions = unit_directions(torch.eye(space.code_dim)[:2], codes)
    directions.metadata.update(space.facts())
    assert LatentSpace.of(directions, generator) == space


def test_directions_that_do_not_match_the_generator_are_refused(generator):
    directions = unit_directions(torch.eye(5), torch.randn(9, 5))
    directions.metadata.update(LatentSpace(generator=generator).facts())
    with pytest.raises(CheckpointError, match=r"codes of 5 numbers, but codes w .* have 8"):
        LatentSpace.of(directions, generator)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"name": "p"}, r"allowed are z, w, w\+, s"),
        ({"resolution": 12}, "blocks at"),
        ({"layers": (99,)}, "0 to 7"),
        ({"layers": ()}, "no layer"),
        ({"name": "z", "layers": (1,)}, "a code z has none"),
        ({"label": 1}, "not conditional"),
        ({"truncation_cutoff": 9}, "0 to 8"),
    ],
)
def test_attributes_that_do_not_match_the_generator_are_refused(generator, attributes, message):
    with pytest.raises(InvalidArgumentError, match=message):
        LatentSpace(generator=generator, **attributes)


def test_a_conditional_generator_needs_its_class():
    made = Generator(z_dim=8, w_dim=8, c_dim=3, img_resolution=8, num_mapping_layers=2, channel_base=64).eval()
    with pytest.raises(InvalidArgumentError, match="class 0 to 2"):
        LatentSpace(generator=made)
    codes = [LatentSpace(generator=made, label=label).codes_of_seeds([1]) for label in (0, 2)]
    assert not torch.equal(*codes)


def test_a_seed_is_nvidias_seed():
    code = codes_of_seed(85, 512)
    assert code.shape == (1, 512)
    assert code.dtype == torch.float32
    np.testing.assert_array_equal(code.numpy(), np.random.RandomState(85).randn(1, 512).astype(np.float32))


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_numpy_does_not_take_is_refused(seed):
    with pytest.raises(InvalidArgumentError, match=f"seed {seed} is not allowed; give 0 to 4294967295"):
        codes_of_seed(seed, 8)


@pytest.mark.parametrize("name", SPACES)
def test_images_of_a_rectangular_generator_are_pooled_by_their_longer_side(name):
    made = Generator(z_dim=8, w_dim=8, img_resolution=256, base_size=(4, 2), num_mapping_layers=1, channel_base=256)
    space = LatentSpace(generator=made.eval().requires_grad_(False), name=name)
    assert space.features(space.sample_codes(1, rng())).shape == (1, 3, 64, 32)
    assert space.images(space.codes_of_seeds([0])).shape == (1, 3, 256, 128)
