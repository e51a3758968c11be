from pathlib import Path

import torch
from PIL import Image

from ganspace_topdis.latent.directions import Directions
from tests.vae.evaluation.readers import Dots, reader
from vae.evaluation.page import draw_latents, latent_directions, latent_labels
from vae.evaluation.scores import Latent

LATENTS = [
    Latent(index=2, std=1.0, kl=2.0, live=True, shares={"posX": 0.5, "posY": 0.1}),
    Latent(index=0, std=1.0, kl=1.0, live=True, shares={}),
]


def test_a_direction_moves_its_latent_by_the_priors_deviation_and_no_other() -> None:
    directions = latent_directions(4, LATENTS)
    codes = torch.zeros(3, 4)
    assert directions.move(codes, 0, 1.5).tolist() == [[0, 0, 1.5, 0]] * 3
    assert directions.transform(directions.move(codes, 1, 2.0))[:, 1].tolist() == [2.0] * 3


def test_labels_name_the_latent_and_its_most_informative_factor() -> None:
    first, second = latent_labels(LATENTS)
    assert (first.name, first.heading) == ("Latent 2", "Latent 2 (posX)")
    assert dict(first.scores) == {"KL": 2.0, "entropy_share": 0.5}
    assert (second.heading, dict(second.scores)) == ("Latent 0", {"KL": 1.0})


def test_the_gallery_a_gif_and_the_directions_are_written(tmp_path: Path) -> None:
    written = draw_latents(tmp_path, reader(), Dots(), LATENTS, seed=0, title="Dots")
    names = {str(path.relative_to(tmp_path)) for path in written}
    assert {
        "directions.safetensors",
        "explorer.html",
        "traversals/overview.png",
        "traversals/direction_00.png",
        "traversals/latents.gif",
    } <= names
    assert Directions.load(tmp_path).metadata["latent"] == [2, 0]
    with Image.open(tmp_path / "traversals" / "latents.gif") as gif:
        assert getattr(gif, "n_frames", 1) > 4


def test_nothing_is_drawn_if_no_latent_is_live(tmp_path: Path) -> None:
    collapsed = Latent(index=1, std=0.08, kl=0.003, live=False, shares={})
    assert draw_latents(tmp_path, reader(), Dots(), [collapsed], seed=0, title="Dots") == []
    assert draw_latents(tmp_path, reader(), Dots(), [], seed=0, title="Dots") == []
    assert not list(tmp_path.iterdir())
