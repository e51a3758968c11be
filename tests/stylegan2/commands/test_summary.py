from typing import Any

from stylegan2.run_pictures import summary

RESCORING = {"mean_share": 0.4751, "mean_spearman": 0.932, "off_target": [1.0, None, 2.0]}
SCORES: dict[str, Any] = {
    "protocol": {"mig": 0.1, "disentanglement": 0.2, "factor_vae_score": 0.3, "encoder_error": 0.4},
    "reconstructor": {"accuracy": 0.9, "chance": 0.25, "num_pairs": 400},
    "noise_floor": {"scale": 0.009},
    "rescoring": RESCORING,
}


def test_every_score_has_a_line_in_a_fixed_order() -> None:
    assert list(summary(SCORES)) == ["mean over factors", "noise floor", "reconstructor", "encoder protocol"]


def test_means_leave_factors_without_a_direction_out_of_the_ratio() -> None:
    assert summary(SCORES)["mean over factors"] == "share 0.475, Spearman 0.932, off over on target 1.50"
    nothing = {**RESCORING, "off_target": [None]}
    assert "target" not in summary({"rescoring": nothing})["mean over factors"]


def test_no_scores_no_lines() -> None:
    assert summary({}) == {}
