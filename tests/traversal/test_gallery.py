from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from ganspace_topdis.errors import InvalidArgumentError, RunFolderError
from ganspace_topdis.traversal.gallery import WalkSettings, write_gallery, write_page, write_traversal
from ganspace_topdis.traversal.names import default_labels

SEEDS = ["seed 4", "seed 5"]
WALK = WalkSettings(extent=2.0, num_steps=5, batch_size=7)


@pytest.fixture
def codes() -> torch.Tensor:
    return torch.randn(2, 3, generator=torch.Generator().manual_seed(2))


def test_a_gallery_is_a_page_an_overview_and_two_files_per_direction(
    paint: Any, axes: Any, codes: torch.Tensor, tmp_path: Path
) -> None:
    labels = [default_labels(3)[index] for index in (2, 0)]
    paths = write_gallery(tmp_path, paint(), codes, axes, labels, SEEDS, walk=WALK)
    assert [str(path.relative_to(tmp_path)) for path in paths] == [
        "explorer.html",
        "traversals/overview.png",
        "traversals/direction_02.png",
        "traversals/direction_02.webp",
        "traversals/direction_00.png",
        "traversals/direction_00.webp",
    ]
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(paths)


@pytest.mark.parametrize("num_mixed", [0, 2, 3])
def test_progress_ends_at_the_number_of_frames_announced(
    paint: Any, axes: Any, codes: torch.Tensor, tmp_path: Path, num_mixed: int
) -> None:
    told: list[tuple[int, int]] = []
    generate = paint()
    write_gallery(
        tmp_path,
        generate,
        codes,
        axes,
        default_labels(3),
        SEEDS,
        walk=WALK,
        num_mixed=num_mixed,
        progress=lambda done, total: told.append((done, total)),
    )
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert told[-1][0] == told[-1][1] == sum(generate.batches)
    assert max(generate.batches) <= WALK.batch_size


def test_a_gallery_written_twice_has_the_same_bytes(paint: Any, axes: Any, codes: torch.Tensor, tmp_path: Path) -> None:
    first = write_gallery(tmp_path, paint(), codes, axes, default_labels(3), SEEDS, walk=WALK)
    before = [path.read_bytes() for path in first]
    second = write_gallery(tmp_path, paint(), codes, axes, default_labels(3), SEEDS, walk=WALK)
    assert [path.read_bytes() for path in second] == before


def test_a_page_alone_is_that_of_the_gallery(paint: Any, axes: Any, codes: torch.Tensor, tmp_path: Path) -> None:
    page, *_ = write_gallery(tmp_path, paint(), codes, axes, default_labels(3), SEEDS, walk=WALK, num_mixed=2)
    alone = write_page(tmp_path / "page.html", paint(), codes, axes, default_labels(3), SEEDS, walk=WALK, num_mixed=2)
    assert alone.read_bytes() == page.read_bytes()


@pytest.mark.parametrize("suffix", ["png", "webp", "gif"])
def test_one_walk_is_written_in_the_format_of_the_suffix(
    paint: Any, axes: Any, codes: torch.Tensor, tmp_path: Path, suffix: str
) -> None:
    label = default_labels(3)[1]
    path = write_traversal(tmp_path / f"walk.{suffix}", paint(), codes, axes, label, SEEDS, walk=WALK)
    with Image.open(path) as picture:
        assert picture.format == suffix.upper()
        assert getattr(picture, "n_frames", 1) == (1 if suffix == "png" else 8)


def test_another_format_is_refused_before_anything_is_drawn(
    paint: Any, axes: Any, codes: torch.Tensor, tmp_path: Path
) -> None:
    generate = paint()
    with pytest.raises(InvalidArgumentError, match="allowed are png, webp, gif"):
        write_traversal(tmp_path / "walk.mp4", generate, codes, axes, default_labels(3)[0], SEEDS)
    assert generate.batches == []


def test_codes_without_names_are_refused(paint: Any, axes: Any, codes: torch.Tensor, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="each code needs a name"):
        write_gallery(tmp_path, paint(), codes, axes, default_labels(3), SEEDS[:1])


def test_a_folder_that_cannot_be_written_is_reported(
    paint: Any, axes: Any, codes: torch.Tensor, tmp_path: Path
) -> None:
    (tmp_path / "traversals").write_text("a file in the way")
    with pytest.raises(RunFolderError, match="cannot create the folder"):
        write_gallery(tmp_path, paint(), codes, axes, default_labels(3), SEEDS, walk=WALK)
    with pytest.raises(RunFolderError, match="cannot write"):
        write_gallery(tmp_path / "none", paint(), codes, axes, default_labels(3), SEEDS, walk=WALK)


@pytest.mark.parametrize("wrong", [{"extent": 0.0}, {"num_steps": 4}, {"batch_size": 0}])
def test_settings_are_validated_on_construction(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match="must be"):
        WalkSettings(**wrong)
