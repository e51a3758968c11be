"""A small suite whose cells are finished without training."""

import json

from vae.suite.folder import SuiteFolder
from vae.suite.grid import Cell, Grid
from vae.suite.results import CellStatus, write_status


def grid(
    *, seeds: tuple[int, ...] = (0, 1), name: str = "small", steps: int = 10, metrics: tuple[str, ...] = ()
) -> Grid:
    cells = [
        Cell(
            labels={"method": "VAE", "variant": variant}, seed=seed, settings={"method": "vae", "steps": steps, **more}
        )
        for variant, more in (("plain", {}), ("TopDis", {"topdis": {"weight": 5.0}}))
        for seed in seeds
    ]
    return Grid(
        name=name,
        description="",
        notes=("A note.",),
        cells=tuple(cells),
        metrics=metrics or None,
        max_images=None,
        axis="variant",
        baseline="plain",
    )


def finish(folder: SuiteFolder, cell: Cell, *, mig: float = 0.5, metrics: list[str] | None = None) -> None:
    run = folder.cell_folder(cell)
    run.mkdir()
    evaluation = {
        "request": {"metrics": metrics, "max_images": None},
        "scores": {"mig": mig},
        "files": [],
        "device": "cpu",
    }
    (run / "evaluation.json").write_text(json.dumps(evaluation))
    write_status(folder.status_file(cell), CellStatus(state="finished", attempts=1, duration_s=60.0))
