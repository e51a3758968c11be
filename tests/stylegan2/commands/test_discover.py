import dataclasses

import pytest
import torch

from ganspace_topdis.discovery.settings import CLOSED_FORMS, SEARCH_METHODS, DiscoverySettings
from ganspace_topdis.errors import CheckpointError, InvalidArgumentError
from ganspace_topdis.evaluation.matching import recovery
from ganspace_topdis.latent.directions import Directions
from stylegan2 import Generator, load, save
from stylegan2.commands.discover import Options, space_of
from stylegan2.runs import pictures
from stylegan2.runs.search import carried_over
from stylegan2.settings import PictureSettings
from stylegan2.space import LatentSpace
from tests.stylegan2.commands.found_directions import discover, small_generator

SEARCH = DiscoverySettings(num_directions=3, steps=2, batch_size=8, num_span_codes=100, num_probes=64)
PICTURES = PictureSettings(seeds=(0,), num_frames=3, num_mixed=0)
IN_SPACES = [(method, "w") for method in (*SEARCH_METHODS, *CLOSED_FORMS)]
IN_SPACES += [("topdis", "z"), ("ganspace", "z"), ("topdis", "s"), ("ganspace-features", "s"), ("axes", "s")]
IN_SPACES += [(method, "w+") for method in ("topdis", "ica", "random")]


@pytest.fixture(scope="module")
def ckpt(tmp_path_factory) -> str:
    return str(save(small_generator(), tmp_path_factory.mktemp("ckpt") / "small.safetensors"))


def run(ckpt, out, method="topdis", search=SEARCH, **options):
    return discover(Options(ckpt=ckpt, method=method, search=search, pictures=PICTURES, device="cpu", **options), out)


@pytest.fixture
def undrawn(monkeypatch):
    """No pictures, which take half of the time of so small a run."""
    monkeypatch.setattr(pictures, "draw_run", lambda *_, **__: [])


@pytest.mark.parametrize("space", ["z", "w", "w+", "s"])
def test_directions_of_every_space_are_drawn(ckpt, tmp_path, space):
    run(ckpt, tmp_path / "run", "random", space=space)
    assert (tmp_path / "run/traversals/overview.png").exists()


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(("method", "space"), IN_SPACES)
def test_methods_work_in_their_spaces_and_say_so(ckpt, tmp_path, method, space):
    directions = run(ckpt, tmp_path / "run", method, space=space)
    assert (directions.metadata["method"], directions.metadata["space"]) == (method, space)
    assert directions.code_dim == {"z": 8, "w": 8, "w+": 6 * 8}.get(space, directions.code_dim)
    assert directions.num_directions == 3
    assert min(directions.metadata["effect"]) > 0


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("space", ["z", "w+", "s"])
def test_the_whole_code_of_every_space_is_searched_where_that_is_asked_for(ckpt, tmp_path, space):
    search = dataclasses.replace(SEARCH, num_directions=2, search_in="whole")
    settings = run(ckpt, tmp_path / "run", search=search, space=space).metadata["settings"]
    assert settings["search_in"] == "whole"
    assert settings["whitening"] == {"w+": "layers", "s": "channels"}.get(space, "full")


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("refine", ["sefa", "run"])
def test_refining_starts_from_the_directions_that_are_named(ckpt, tmp_path, refine):
    earlier = run(ckpt, tmp_path / "earlier", "sefa" if refine == "sefa" else "topdis")
    no_steps = dataclasses.replace(SEARCH, steps=0, span="pca", num_directions=8)
    refined = run(
        ckpt, tmp_path / "refined", search=no_steps, refine="sefa" if refine == "sefa" else str(tmp_path / "earlier")
    )
    assert recovery(refined.vectors, earlier.vectors).mean > (0.8 if refine == "sefa" else 0.99)
    assert refined.metadata["refined"]["method"] == earlier.metadata["method"]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("space", ["w", "w+", "s"])
def test_directions_of_w_are_refined_outside_their_span_and_layer_by_layer(ckpt, tmp_path, space):
    earlier = run(ckpt, tmp_path / "earlier", "random")
    no_steps = dataclasses.replace(SEARCH, steps=0, search_in="whole")
    refined = run(ckpt, tmp_path / "run", search=no_steps, space=space, refine=str(tmp_path / "earlier"))
    if space != "w":
        earlier = carried_over(earlier, LatentSpace.of(refined, load(ckpt)))
    assert recovery(refined.vectors, earlier.vectors).worst > 0.999


@pytest.mark.parametrize("name", ["w+", "s"])
def test_directions_that_are_carried_over_from_w_move_images_alike(ckpt, tmp_path, name):
    found = run(ckpt, tmp_path / "earlier", "random")
    generator = load(ckpt)
    in_w, space = (LatentSpace(generator=generator, name=each) for each in ("w", name))
    directions = carried_over(found, space)
    seeds = range(3)
    moved = [each.move(own.codes_of_seeds(seeds), 0, 1.5) for each, own in ((found, in_w), (directions, space))]
    images = [own.images(codes) for codes, own in zip(moved, (in_w, space), strict=True)]
    assert torch.allclose(*images, atol=1e-4)
    read = [
        each.transform(own.sample_codes(5, torch.Generator().manual_seed(1)))
        for each, own in ((found, in_w), (directions, space))
    ]
    assert torch.allclose(*read, atol=1e-3)
    assert torch.allclose(directions.span.norm(dim=1), torch.ones(len(directions.span)))


@pytest.mark.parametrize(("side", "block"), [(16, 16), (32, 32), (64, 16)])
def test_the_last_block_of_a_small_generator_is_compared_and_an_early_one_of_a_large_one(side, block):
    generator = Generator(z_dim=8, w_dim=8, img_resolution=side, num_mapping_layers=1, channel_base=64)
    assert space_of(generator, Options()).resolution == block
    assert space_of(generator, Options(features=8)).resolution == 8
    assert space_of(generator, Options(features=0)).resolution is None


@pytest.mark.usefixtures("undrawn")
def test_layers_reach_the_file_and_only_they_were_searched(ckpt, tmp_path):
    directions = run(ckpt, tmp_path / "run", layers="1-2")
    assert Directions.load(tmp_path / "run").metadata["layers"] == [1, 2]
    assert directions.metadata["layers"] == [1, 2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "sefa", "space": "z"}, "`space` is z"),
        ({"method": "random", "refine": "sefa"}, "takes no steps"),
        ({"refine": "nowhere"}, "`refine` is 'nowhere'"),
        ({"noise_mode": "random"}, "`noise_mode` is 'random'"),
        ({"search": dataclasses.replace(SEARCH, precision="bf16")}, "`precision` is 'bf16'"),
        (
            {"search": dataclasses.replace(SEARCH, compile="default"), "space": "s"},
            "`compile` is not available",
        ),
        ({"space": "z", "layers": "0-1"}, "a code z has none"),
        ({"space": "w+", "layers": "0-1"}, "a search in w\\+ moves all layers"),
    ],
)
def test_options_that_contradict_each_other_are_refused_before_any_folder_is_made(ckpt, tmp_path, options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        run(ckpt, tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("undrawn")
def test_directions_of_another_checkpoint_cannot_be_refined(ckpt, tmp_path):
    other = save(small_generator(seed=3), tmp_path / "other.safetensors")
    run(str(other), tmp_path / "other", "random")
    with pytest.raises(CheckpointError, match="SHA-256"):
        run(ckpt, tmp_path / "run", refine=str(tmp_path / "other"))


@pytest.mark.usefixtures("undrawn")
def test_directions_of_another_space_cannot_be_refined_though_their_codes_are_as_long(ckpt, tmp_path):
    run(ckpt, tmp_path / "w", "random")
    with pytest.raises(InvalidArgumentError, match="holds directions of space w, `space` is z"):
        run(ckpt, tmp_path / "z", refine=str(tmp_path / "w"), space="z")
    assert not (tmp_path / "z").exists()


@pytest.mark.usefixtures("undrawn")
def test_another_method_does_not_go_on_in_the_folder_of_one(ckpt, tmp_path):
    run(ckpt, tmp_path / "run", "random")
    with pytest.raises(Exception, match="method was"):
        run(ckpt, tmp_path / "run", "hessian")
