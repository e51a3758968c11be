"""Scores that the authors' own code gives for ten kinds of codes; written to published.json beside this file.

    python tests/metrics/reference/record_published.py FOLDER

FOLDER holds their files, changed only where NumPy 2 and scikit-learn 1.9 refuse them:

    infomec.py          kylehkhsu/latent_quantization 9a420a3, disentangle/metrics/infomec.py
    infomec_tripod.py   kylehkhsu/tripod d794dc4, disentangle/metrics/infomec.py
    disentangling/      wangyashuu/measuring_meaningful_latent_space 03d89f3 (EDI, as dcii)
    explitcitness.py    andreinicolicioiu/DCI-ES 9329dae, metrics/explitcitness.py
    snc_nk.py, utils.py Lou1sM/snc_nk e031048; dl_utils on the path
    srtd_nts/           frankwy505/SRTD-NTS 1b8f1ef, src/srtd_nts

The tests compare our metrics with the file, so that nobody needs the folder to run them.
"""

import contextlib
import io
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.metrics.kinds import KINDS, draw_kind

NUM_POINTS = 1500


def published(kind: str) -> dict[str, Any]:
    """The scores of one kind, on its first 1,000 points, and on its last 500 where there is a test set."""
    import infomec
    import infomec_tripod
    from disentangling.metrics.dcii import dcii_c, dcii_d

    codes, factors = draw_kind(kind, NUM_POINTS)
    train, test = slice(0, 1000), slice(1000, None)
    scores: dict[str, Any] = {}
    for name, module in (("range", infomec), ("iqr", infomec_tripod)):
        np.random.seed(0)  # noqa: NPY002 (their jitter)
        found = module.compute_infomec(factors[train], codes[train], discrete_latents=False)
        scores[f"infomec_{name}"] = {key: float(found[key]) for key in ("infom", "infoc", "infoe")}
    np.random.seed(0)  # noqa: NPY002
    others = codes[train][:, ::-1] + 0.3 * np.random.default_rng(1).normal(size=codes[train].shape)
    scores["edi_max"] = {
        "modularity": float(dcii_d(others[:, :3], codes[train], estimate_mi_codes_and_factor_by="max")),
        "compactness": float(dcii_c(others[:, :3], codes[train], estimate_mi_codes_and_factor_by="max")),
    }
    scores["snc"] = single_neuron(codes, factors, train, test)
    return scores


def single_neuron(codes: Any, factors: Any, train: slice, test: slice) -> float:
    """SNC by the authors' alignment and bins."""
    from snc_nk import PredictorAligner

    aligner = PredictorAligner("kinds", "none", "normal", max_epochs=1)
    aligner.set_data(codes[train], factors[train], codes[test], factors[test])
    corrects = aligner.accs_from_alignment(is_single_neurons=True, is_mlp="none")[1]
    return float(np.mean([each.mean() for each in corrects]))


def knockout(kind: str, seed: int) -> dict[str, float]:
    """Accuracy of the authors' networks after 200 epochs (half a minute), and what they lose without the latent."""
    import torch
    from snc_nk import PredictorAligner

    torch.manual_seed(seed)
    codes, factors = draw_kind(kind, NUM_POINTS)
    aligner = PredictorAligner("kinds", "none", "normal", max_epochs=200)
    aligner.set_data(codes[:1000].astype(np.float32), factors[:1000], codes[1000:].astype(np.float32), factors[1000:])
    aligner.set_maybe_loaded_trans_dict()
    whole = [
        aligner.train_classif(aligner.latents, factors[:1000, k], aligner.latents_test, factors[1000:, k])[1].mean()
        for k in range(4)
    ]
    without = [aligner.exclusive_mlp(k, k, 1)[1].mean() for k in range(4)]
    return {"accuracy": round(float(np.mean(whole)), 3), "nk": round(float(np.mean(whole) - np.mean(without)), 3)}


def explicitness_curves() -> list[dict[str, Any]]:
    """E of falling, flat and bumpy curves."""
    from explitcitness import Explitcitness

    rng, depths = np.random.default_rng(0), [1, 2, 3, 4, 8, 10, 12, 14, 16, 18, 20, 32]
    curves = []
    for _ in range(8):
        losses = np.sort(rng.random(12))[::-1] * 0.8 + 0.1 * rng.random(12)
        scorer = Explitcitness()
        scorer.add_curve(depths, losses.copy(), baseline_loss=0.8)
        curves.append({"losses": losses.tolist(), "explicitness": float(scorer.get_explitcitness()["curve"])})
    return curves


def representations(kind: str) -> dict[str, float]:
    """Divergences and similarities of a kind's first 60 codes to the perfect ones, by the authors' matrices.

    Distances are divided by the 0.9 quantile of the whole matrix, as the code of RTD does; theirs takes the entries
    above the diagonal. Full SRTD is the barcode that ripser.py gives for their auxiliary matrix.
    """
    from ripser import ripser
    from scipy.spatial.distance import pdist, squareform
    from srtd_nts import scores

    scores.normalize_by_quantile = lambda matrix, q: matrix
    pair = (squareform(pdist(draw_kind(name, 60)[0])) for name in ("perfect", kind))
    first, second = (matrix / np.quantile(matrix, 0.9) for matrix in pair)
    lite, similar = scores.rtd_srtd_lite_scores(first, second), scores.nts_scores(first, second)
    auxiliary = scores.symmetric_auxiliary_matrix(first, second)
    auxiliary = np.minimum(auxiliary, auxiliary.T)
    auxiliary[np.isinf(auxiliary)] = 1e6
    bars = ripser(auxiliary, distance_matrix=True, maxdim=1)["dgms"][1]
    return {
        "rtd-lite": lite["RTD_lite"],
        "srtd-lite": lite["SRTD_lite"],
        "srtd": float((bars[:, 1] - bars[:, 0]).sum()),
        "nts-e": similar["NTS_E"],
        "nts-m": similar["NTS_M"],
    }


def main(folder: str) -> None:
    """Write the file."""
    sys.path.insert(0, folder)
    warnings.simplefilter("ignore")
    with contextlib.redirect_stdout(io.StringIO()):
        scores: dict[str, Any] = {kind: published(kind) for kind in KINDS}
        scores["curves"] = explicitness_curves()
        scores["knockout"] = {kind: [knockout(kind, seed) for seed in range(3)] for kind in KINDS}
        untied = (kind for kind in KINDS if kind not in ("perfect", "quantized"))  # their trees drop distances of 0
        scores["representations"] = {kind: representations(kind) for kind in untied}
    (Path(__file__).parent / "published.json").write_text(json.dumps(scores, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
