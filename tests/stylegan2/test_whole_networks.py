import collections
import functools
import pickle
import sys
import types

import numpy as np
import pytest
import torch
from torch import nn

import stylegan2
from ganspace_topdis.errors import CheckpointError
from stylegan2 import Generator
from stylegan2.config import ACTIVATIONS
from stylegan2.loading import read
from tests.stylegan2 import nvidia_files
from tests.stylegan2.foreign_files import flat_tensors, importable, module_tree, torch_bytes
from tests.stylegan2.nvidia_files import Persistent, nvidia_modules, persistent_tree, snapshot_bytes

SMALL = {"z_dim": 8, "w_dim": 8, "img_resolution": 16, "num_mapping_layers": 2, "channel_base": 64}


@pytest.fixture
def write(tmp_path):
    def write(data):
        path = tmp_path / "network.pkl"
        path.write_bytes(data)
        return path

    return write


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("layout", ["ada", "stylegan3"])
def test_snapshots_of_both_repositories_give_the_reference_images(
    reference, reference_generator, write, layout, protocol
):
    path = write(snapshot_bytes(reference_generator, layout=layout, protocol=protocol))
    image = stylegan2.load(path)(reference["z"])
    np.testing.assert_allclose(image, reference["image_psi1"], atol=1e-4)


@pytest.mark.parametrize("architecture", ["skip", "orig", "resnet"])
def test_clamp_classes_and_half_precision_are_read_off_the_layers(write, architecture):
    torch.manual_seed(0)
    generator = Generator(**SMALL, c_dim=3, conv_clamp=0.5, architecture=architecture).eval()
    again = stylegan2.load(write(snapshot_bytes(generator, num_fp16_res=2)))
    z, c = torch.randn(4, 8), torch.eye(3)[[0, 1, 2, 0]]
    assert (again.config.conv_clamp, again.config.num_fp16_res, again.c_dim) == (0.5, 2, 3)
    assert torch.equal(again(z, c), generator(z, c))


def test_channels_last_weights_are_read_by_their_strides(reference, reference_generator, write):
    tree = persistent_tree(reference_generator)
    convolution = tree.synthesis.b8.conv0
    convolution.weight = nn.Parameter(convolution.weight.to(memory_format=torch.channels_last))
    assert not convolution.weight.is_contiguous()
    again = stylegan2.load(write(snapshot_bytes(reference_generator, root=tree)))
    assert torch.equal(again.synthesis.b8.conv0.weight, reference_generator.synthesis.b8.conv0.weight)


def test_another_mapping_rate_is_scaled_into_the_weights(reference_generator, write):
    tree = persistent_tree(reference_generator)
    for layer in tree.mapping.children():
        layer.bias_gain = 1.0
    again = stylegan2.load(write(snapshot_bytes(reference_generator, root=tree)))
    torch.testing.assert_close(again.mapping.fc0.weight, 100 * reference_generator.mapping.fc0.weight)


def test_loaded_generators_are_frozen_and_in_evaluation_mode(reference_generator, write):
    again = stylegan2.load(write(snapshot_bytes(reference_generator)))
    assert not again.training
    assert not any(parameter.requires_grad for parameter in again.parameters())


def test_nan_weights_are_refused_by_name(reference_generator, write):
    tree = persistent_tree(reference_generator)
    tree.synthesis.b8.conv0.weight[0, 0, 0, 0] = float("nan")
    with pytest.raises(CheckpointError, match=r"synthesis\.b8\.conv0\.weight hold NaN"):
        stylegan2.load(write(snapshot_bytes(reference_generator, root=tree)))


def test_stylegan3_is_refused_by_name(reference_generator, write):
    root, synthesis = Persistent("Generator"), Persistent("SynthesisNetwork")
    root.add_module("synthesis", synthesis)
    synthesis.add_module("input", Persistent("SynthesisInput"))
    with pytest.raises(CheckpointError, match="StyleGAN3"):
        stylegan2.load(write(snapshot_bytes(reference_generator, root=root)))


def test_stylegan_xl_is_refused_by_name(reference_generator, write):
    with pytest.raises(CheckpointError, match="StyleGAN-XL"):
        stylegan2.load(write(snapshot_bytes(reference_generator, root=Persistent("SuperresGenerator"))))


@pytest.mark.parametrize(("conv", "mapping"), list(zip(ACTIVATIONS, reversed(ACTIVATIONS), strict=True)))
def test_activations_are_read_off_the_layers_and_kept_by_our_own_files(write, tmp_path, conv, mapping):
    torch.manual_seed(0)
    generator = Generator(**SMALL, conv_clamp=0.5, activation=conv, mapping_activation=mapping).eval()
    again = stylegan2.load(write(snapshot_bytes(generator)))
    again = stylegan2.load(stylegan2.save(again, tmp_path / "own.safetensors"))
    z = torch.randn(2, 8)
    assert torch.equal(again(z), generator(z))
    if (conv, mapping) != ("lrelu", "lrelu"):
        assert not torch.allclose(Generator.from_state_dict(generator.state_dict(), conv_clamp=0.5)(z), generator(z))


@pytest.mark.parametrize(
    ("place", "act", "message"),
    [
        ("synthesis.b8.conv0", "gelu", "b8.conv0 uses the activation.*gelu.*lrelu, tanh"),
        ("synthesis.b8.conv0", "swish", r"b8\.conv. uses .*, other layers of its kind (swish|lrelu): not supported"),
        ("mapping.fc1", "relu", r"mapping\.fc. uses .*, other layers of its kind l?relu: not supported"),
        ("synthesis.b8.conv0.affine", "relu", r"affine uses relu, other layers of its kind linear: not supported"),
    ],
)
def test_other_activations_and_mixed_ones_are_refused(reference_generator, write, place, act, message):
    tree = persistent_tree(reference_generator)
    tree.get_submodule(place).activation = act
    with pytest.raises(CheckpointError, match=message):
        stylegan2.load(write(snapshot_bytes(reference_generator, root=tree)))


@pytest.fixture
def generator():
    torch.manual_seed(1)
    return Generator(**SMALL, conv_clamp=0.5).eval().requires_grad_(False)


def same_images(path, generator, **options):
    z = torch.randn(2, generator.z_dim, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(stylegan2.load(path)(z, **options), generator(z, **options), atol=1e-5, rtol=0)
    return True


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("wrap", [lambda G: G, lambda G: {"G_ema": G}, lambda G: {"G": G}, nn.DataParallel])
def test_a_whole_nvidia_network_of_torch_save_is_read_with_its_clamp(generator, write, wrap, legacy):
    with nvidia_modules():
        data = torch_bytes(wrap(persistent_tree(generator, num_fp16_res=2)), legacy=legacy)
    config = read(path := write(data)).overrides
    assert (config["conv_clamp"], config["num_fp16_res"]) == (0.5, 2)
    assert same_images(path, generator, truncation_psi=0.7)


def test_a_whole_nvidia_network_is_read_from_a_plain_pickle(generator, write):
    with nvidia_modules():
        data = pickle.dumps(persistent_tree(generator))
    assert same_images(write(data), generator)


def test_a_whole_nvidia_network_whose_modules_are_in_a_subpackage_is_read(generator, write, monkeypatch):
    place = "models.torch_utils.persistence"
    for name in ("models", "models.torch_utils", place):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    sys.modules[place]._reconstruct_persistent_obj = nvidia_files._reconstruct_persistent_obj
    monkeypatch.setattr(nvidia_files._reconstruct_persistent_obj, "__module__", place)
    with nvidia_modules():
        data = torch_bytes(persistent_tree(generator))
    assert place.encode() in data
    assert same_images(write(data), generator)


def test_a_whole_nvidia_network_without_the_persistence_scheme_is_read(generator, write):
    tree = module_tree(generator.state_dict(), "training.networks.Generator")
    tree.synthesis.b8.conv0.conv_clamp = 0.5
    with importable(tree):
        data = torch_bytes({"G_ema": tree})
    assert same_images(write(data), generator)


@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("wrap", [lambda G: G, lambda G: {"g_ema": G, "latent_avg": torch.zeros(8)}, nn.DataParallel])
def test_a_whole_rosinality_network_is_read(write, wrap, legacy):
    torch.manual_seed(2)
    generator = Generator(**SMALL).eval().requires_grad_(False)
    tree = module_tree(flat_tensors(generator, "rosinality"), "model.Generator", convs="model.List", style="model.Mlp")
    with importable(tree):
        data = torch_bytes(wrap(tree), legacy=legacy)
    assert same_images(write(data), generator)


class Palette(list):
    """A list of an unknown class."""


def test_unknown_classes_outside_the_generator_are_ignored(generator, write):
    stranger = nn.Conv2d(1, 1, 1)
    stranger.hooks = [Palette([1, 2, 3]), {(0, 1): "key", 0.5: 1}, functools.partial(max, key=abs)]
    stranger.counts = collections.Counter("abc")
    stranger.kinds = {(1, 2), "text"}
    stranger.method = stranger.forward
    stranger.number = 1 + 2j
    stranger.scale = torch.float16
    data = snapshot_bytes(generator, others=(stranger, stranger))
    assert b"Palette" in data
    assert same_images(write(data), generator)


def test_a_foreign_object_in_place_of_a_weight_is_refused_by_name(generator, write):
    content = generator.state_dict()
    content["synthesis.b8.conv0.weight"] = Palette([1.0])
    with pytest.raises(CheckpointError, match=r"synthesis\.b8\.conv0\.weight is tests\.stylegan2.*Palette"):
        stylegan2.load(write(torch_bytes(content)))
    tree = persistent_tree(generator)
    tree.synthesis.b8._buffers["resample_filter"] = Palette([1.0])
    with pytest.raises(CheckpointError, match=r"synthesis\.b8\.resample_filter is tests\.stylegan2.*Palette"):
        stylegan2.load(write(snapshot_bytes(generator, root=tree)))


def test_a_foreign_object_in_place_of_the_generator_is_refused_by_name(write):
    for content in (Palette(), {"g_ema": Palette()}):
        with pytest.raises(CheckpointError, match=r"Palette, which was neither imported nor run"):
            stylegan2.load(write(torch_bytes(content)))


def test_a_plain_pickle_of_a_state_dict_is_read(write):
    generator = Generator(**SMALL).eval().requires_grad_(False)
    assert same_images(write(pickle.dumps({"state_dict": dict(generator.state_dict())})), generator)


def test_a_state_dict_in_nvidias_names_has_a_note_that_no_clamp_is_assumed(generator, write):
    notes = read(write(torch_bytes({"g_ema": generator.state_dict()}))).notes
    assert any("assumed not to be clamped" in note for note in notes)


UNSUPPORTED = {
    "FastGAN": {"synthesis.feat_8.main.1.weight": 1, "synthesis.init.init.1.weight": 1},
    "StyleGAN-XL": {"synthesis.input.transform": 1, "mapping.embed_proj.weight": 1},
    "EG3D": {"backbone.synthesis.b4.const": 1, "superresolution.block0.conv0.weight": 1, "decoder.net.0.weight": 1},
    "StyleGAN3": {"synthesis.L0_36_512.weight": 1},
    "SWAGAN": {"input.input": 1, "iwt.ll": 1},
    "StyleGAN1": {"generator.progression.0.conv1.weight": 1},
    "lucidrains": {"G.blocks.0.to_style1.weight": 1, "G.initial_block": 1},
    "GFPGAN network": {"conv_body_first.weight": 1, "stylegan_decoder.constant_input.weight": 1},
    "GFPGAN's clean": {"constant_input.weight": 1, "style_mlp.1.weight": 1, "style_conv1.bias": 1},
}


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("name", UNSUPPORTED)
def test_unsupported_networks_are_refused_by_name_with_what_works_instead(write, name, nested):
    tensors = {key: torch.zeros(1) for key in UNSUPPORTED[name]}
    with pytest.raises(CheckpointError, match=f"{name}.*(discover_directions|give the StyleGAN2 generator)") as caught:
        stylegan2.load(write(torch_bytes({"params_ema": tensors} if nested else tensors)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("class_name", "name"),
    [
        ("SuperresGenerator", "StyleGAN-XL"),
        ("TriPlaneGenerator", "EG3D"),
        ("SynthesisInput", "StyleGAN3"),
        ("FastganSynthesis", "FastGAN"),
    ],
)
def test_unsupported_networks_in_nvidias_container_are_refused_by_name(generator, write, class_name, name):
    root = Persistent("Generator")
    root.add_module("inner", Persistent(class_name))
    with pytest.raises(CheckpointError, match=name):
        stylegan2.load(write(snapshot_bytes(generator, root=root)))


def test_gfpgans_clean_generator_with_one_mapping_layer_is_not_mistaken_for_basicsr(write):
    generator = Generator(**{**SMALL, "num_mapping_layers": 1}).eval()
    tensors = flat_tensors(generator, "basicsr")
    clean = {name.replace("activate.bias", "bias"): tensor for name, tensor in tensors.items()}
    with pytest.raises(CheckpointError, match="GFPGAN's clean StyleGAN2"):
        stylegan2.load(write(torch_bytes({"params_ema": clean})))


def test_a_mapping_that_is_too_wide_is_refused_before_its_mean_style_is_computed(write):
    tensors = flat_tensors(Generator(**{**SMALL, "num_mapping_layers": 1}).eval(), "rosinality")
    tensors["style.1.weight"] = torch.zeros(8, 100_000)
    with pytest.raises(CheckpointError, match="z_dim is 100,000"):
        stylegan2.load(write(torch_bytes({"g_ema": tensors})))
