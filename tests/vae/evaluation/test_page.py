import re
from pathlib import Path

from PIL import Image

from ganspace_topdis.report.table import to_html
from vae.evaluation.page import draw_curves, heat_map, write_run_page
from vae.evaluation.scores import Latent

LATENTS = [
    Latent(index=4, std=1.0, kl=2.5, live=True, shares={"posX": 0.9, "<i>": 0.0}),
    Latent(index=0, std=0.01, kl=0.0, live=False, shares={"posX": 0.0, "<i>": 0.0}),
]


def test_the_page_has_scores_latents_curves_and_settings_and_needs_no_other_file(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "overview.png")
    path = write_run_page(
        tmp_path / "report.html",
        title="A & B",
        facts={"method": "beta-vae"},
        scores={"mig": 0.25},
        latents=LATENTS,
        log=[{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}],
        overview=tmp_path / "overview.png",
    )
    page = path.read_text()
    for part in ("A &amp; B", "MIG", "0.250", "posX", "<svg", "beta-vae", "data:image/png;base64,"):
        assert part in page
    assert "1 of 2 latents are live" in page.split("<h2>")[0]
    assert "http" not in page
    assert "src=traversals" not in page


def test_without_pictures_or_log_the_page_has_neither(tmp_path: Path) -> None:
    page = write_run_page(
        tmp_path / "r.html", title="x", facts={}, scores={}, latents=[], log=[], overview=None
    ).read_text()
    assert "Traversals" not in page
    assert "<svg" not in page


def test_more_information_is_a_darker_cell() -> None:
    table = heat_map(LATENTS)
    assert table.tints[0, 1] > table.tints[0, 2] == 0
    assert re.search(r"rgba\(36,99,168,0\.66\)\">0\.90<", to_html(table))


def test_names_are_shown_as_text_and_dead_latents_are_gray() -> None:
    page = to_html(heat_map(LATENTS))
    assert "&lt;i&gt;" in page
    assert "<i>" not in page
    assert page.count('class="muted"') == 1


def test_the_map_names_the_state_of_each_latent() -> None:
    assert [row[-1] for row in heat_map(LATENTS).rows] == ["live", "dead"]


def test_settings_are_shown_without_python_syntax(tmp_path: Path) -> None:
    facts = {"topdis": {"weight": 5.0, "loss": "rtd"}, "betas": (0.9, 0.999), "seed": None, "resident": True}
    path = tmp_path / "report.html"
    write_run_page(path, title="x", facts=facts, scores={}, latents=[], log=[], overview=None)
    page = path.read_text()
    for part in ("topdis: weight", "0.9, 0.999", "yes"):
        assert part in page
    assert not re.search(r"None|True|[{(]&#x27;|\(0\.9", page.split("</style>")[1])


def heights(svg: str) -> list[float]:
    points = re.search(r'polyline points="([^"]+)"', svg)
    assert points
    return [float(point.split(",")[1]) for point in points[1].split()]


def test_a_panel_for_every_quantity() -> None:
    page = draw_curves([{"step": step, "loss": 1.0 / step, "kl": step} for step in (1, 2, 3)])
    assert page.count("<svg") == 2
    assert "Loss" in page


def test_a_falling_quantity_falls_on_the_page() -> None:
    drawn = heights(draw_curves([{"step": step, "loss": 10.0 - step} for step in range(5)]))
    assert drawn == sorted(drawn)
    assert len(drawn) == 5


def test_powers_of_ten_are_a_straight_line_on_the_logarithmic_axis() -> None:
    page = draw_curves([{"step": step, "loss": 10.0**-step} for step in range(4)])
    first, second, third, fourth = heights(page)
    assert "log scale" in page
    steps = [second - first, third - second, fourth - third]
    assert max(steps) - min(steps) < 0.2


def test_values_that_are_not_finite_are_left_out() -> None:
    rows = [{"step": 1, "loss": 1.0}, {"step": 2, "loss": "nan"}, {"step": 3, "loss": 2.0}]
    assert len(heights(draw_curves(rows))) == 2


def test_a_long_log_is_thinned_and_a_short_one_has_no_curve() -> None:
    assert len(heights(draw_curves([{"step": k, "loss": float(k)} for k in range(5000)]))) <= 400
    assert draw_curves([{"step": 1, "loss": 1.0}]) == ""
    assert draw_curves([]) == ""
