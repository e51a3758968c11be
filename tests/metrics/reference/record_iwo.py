"""IWO and IWR by the authors' networks on the ten kinds of codes; written to iwo.json beside this file.

    python tests/metrics/reference/record_iwo.py FOLDER

FOLDER holds `src/` of cyrusgeyer/iwo 67203fa, unchanged, and needs torch. Their networks, losses, baselines, bases and
scores are used. Lightning, which logs to a server, is replaced by the loop below: Adam, its step schedule and the mean
over batches. The networks are those of conf/model/smallnorb.yaml, the training that of conf/training/default.yaml.

For each kind and seed the file holds IWO and IWR; a run takes a quarter of a minute of processor time. For one kind it
holds their matrices, test scores and baselines as well, from which our closed forms must give the same importances, IWO
and IWR.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.metrics.kinds import KINDS, draw_kind

NUM_TRAIN, NUM_TEST = 1000, 500
NUM_EPOCHS, BATCH_SIZE, LEARNING_RATE = 100, 128, 8e-4
NUM_SEEDS = {"perfect": 3, "permuted": 3, "rotated": 3}  # one for the others
WHOLE = "entangled"
NETWORK: dict[str, Any] = {
    "num_hidden_layers": 2,
    "hidden_dim": 128,
    "batch_norm": False,
    "init_w": "kaiming_uniform_custom",
    "init_layers": "kaiming_uniform",
    "nonlinearity": "leaky_relu",
    "nonlinearity_param": 0.01,
}
FILE = Path(__file__).parent / "iwo.json"


def trained(kind: str, seed: int) -> tuple[Any, Any, list[float]]:
    """Their model after training, its test scores (K, D), and the baselines (K,)."""
    from src.models.independent import IWOModel
    from src.utils.utils import DiscreteLoss

    torch.manual_seed(seed)
    codes, labels = draw_kind(kind, NUM_TRAIN + NUM_TEST)
    inputs = torch.from_numpy(codes.astype(np.float32))
    sizes = [int(column.max()) + 1 for column in labels.T]
    targets = torch.from_numpy((labels / (np.array(sizes) - 1)).astype(np.float32))  # theirs lie in [0, 1]
    dim, num_factors = codes.shape[1], len(sizes)
    config = {"default": NETWORK | {"w_sizes": dim - 1}, "per_factor_training": "all"}
    model = IWOModel(config | {f"factor_{k}": None for k in range(num_factors)}, dim, sizes, [True] * num_factors)
    losses = [DiscreteLoss(size) for size in sizes]
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=50, gamma=0.1)

    def pairs(rows: Any) -> list[list[Any]]:
        outputs = model(inputs[rows])
        return [[losses[k](each, targets[rows, k]) for each in outputs[k]] for k in range(num_factors)]

    for _ in range(NUM_EPOCHS):
        for rows in torch.randperm(NUM_TRAIN).split(BATCH_SIZE):
            optimizer.zero_grad()
            torch.stack([loss for factor in pairs(rows) for loss, _ in factor]).sum().backward()
            optimizer.step()
        schedule.step()
    with torch.no_grad():
        batches = torch.arange(NUM_TRAIN, NUM_TRAIN + NUM_TEST).split(BATCH_SIZE)
        scores = [torch.tensor([[float(score) for _, score in factor] for factor in pairs(rows)]) for rows in batches]
    return model, torch.stack(scores).mean(dim=0), [loss.baseline_score for loss in losses]


def orthogonality(kind: str, seed: int, *, whole: bool = False) -> dict[str, Any]:
    """Their IWO and IWR of a kind; `whole` adds what they are computed from."""
    from src.utils.iwo import calculate_iwo, get_basis

    start = time.process_time()
    model, scores, baselines = trained(kind, seed)
    chains = model.get_w()
    bases = [get_basis([step.clone() for step in chain]) for chain in chains]
    pairs, ranks, mean_iwo, mean_iwr, importances, _ = calculate_iwo(bases, scores, baselines, scores.shape[1])
    found: dict[str, Any] = {
        "iwo": float(mean_iwo),
        "iwr": float(mean_iwr),
        "accuracy": round(1 - float(scores[:, 0].mean()), 3),
        "seconds": round(time.process_time() - start, 1),
    }
    if whole:
        found |= {
            "chains": [[step.tolist() for step in chain] for chain in chains],
            "scores": scores.tolist(),
            "baselines": baselines,
            "importances": [each.tolist() for each in importances],
            "pairs": [float(each) for each in pairs],
            "ranks": [float(each) for each in ranks],
        }
    return found


def main(folder: str, kinds: list[str]) -> None:
    """Write the file, keeping the kinds that another run has recorded."""
    sys.path.insert(0, folder)
    torch.set_num_threads(1)
    record: dict[str, Any] = json.loads(FILE.read_text()) if FILE.exists() else {}
    for kind in kinds or KINDS:
        record[kind] = [orthogonality(kind, seed, whole=kind == WHOLE) for seed in range(NUM_SEEDS.get(kind, 1))]
        print(kind, record[kind][0]["iwo"], record[kind][0]["iwr"], flush=True)
        FILE.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
