import re

from vae.evaluation.curves import draw_curves


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


def test_what_is_not_finite_is_left_out() -> None:
    rows = [{"step": 1, "loss": 1.0}, {"step": 2, "loss": "nan"}, {"step": 3, "loss": 2.0}]
    assert len(heights(draw_curves(rows))) == 2


def test_a_long_log_is_thinned_and_a_short_one_has_no_curve() -> None:
    assert len(heights(draw_curves([{"step": k, "loss": float(k)} for k in range(5000)]))) <= 400
    assert draw_curves([{"step": 1, "loss": 1.0}]) == ""
    assert draw_curves([]) == ""
