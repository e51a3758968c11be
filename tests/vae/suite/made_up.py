"""SuiteResults of a suite that was never run, for the tests of its report."""

from vae.suite.results import CellResult, SuiteResults


def made_up_results(*, compared: bool = True, num_seeds: int = 3) -> SuiteResults:
    """Two methods with and without TopDis, which adds 0.1 to every MIG; the last cell failed."""
    records = []
    for m, method in enumerate(("beta-VAE", "FactorVAE")):
        for variant in ("plain", "TopDis"):
            for seed in range(num_seeds):
                mig = 0.2 + 0.05 * m + 0.02 * seed + 0.1 * (variant == "TopDis")
                records.append(
                    CellResult(
                        labels={"method": method, "variant": variant},
                        seed=seed,
                        scores={"mig": mig, "sap": mig / 5, "reconstruction": 40.0 - 10 * mig},
                        settings={
                            "data": "dsprites",
                            "method": method.lower().replace("factorvae", "factor-vae"),
                            "topdis": {"weight": 5.0} if variant == "TopDis" else None,
                        },
                        duration_s=90.0,
                        device="cpu",
                    )
                )
    last = records[-1]
    records[-1] = CellResult(labels=last.labels, seed=last.seed, state="failed", reason="killed | by SIGKILL")
    return SuiteResults(
        name="made-up",
        description="Never run.",
        notes=("All numbers are <made up>.",),
        records=tuple(records),
        axis="variant" if compared else None,
        baseline="plain",
        version="0.0",
    )
