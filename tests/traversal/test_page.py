import re

import pytest

from ganspace_topdis.traversal.labels import DirectionLabel
from ganspace_topdis.traversal.page import FrameSource, content_policy, fill_page, page_data, page_overhead


@pytest.mark.parametrize("frames_from", ["held", "live"])
def test_a_page_allows_its_own_script_by_hash_and_no_other(frames_from: FrameSource) -> None:
    policy = content_policy(frames_from)
    assert policy in fill_page(frames_from, title="t", subtitle="", data={})
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


def test_only_the_live_page_may_ask_its_server() -> None:
    assert "connect-src" not in content_policy("held")
    assert "connect-src 'self';" in content_policy("live")


def test_only_the_live_page_has_a_script_that_asks() -> None:
    assert "fetch(" not in fill_page("held", title="", subtitle="", data={})
    assert "fetch(" in fill_page("live", title="", subtitle="", data={})


def test_the_overhead_is_what_a_page_without_data_takes() -> None:
    page = fill_page("held", title="", subtitle="", data={})
    assert abs(len(page.encode()) - page_overhead()) < 500


def test_scores_come_with_what_they_mean_where_that_is_known() -> None:
    labels = [DirectionLabel(index=2, name="Smile", scores={"effect": 0.5, "own_score": 1.0}, starred=True)]
    data = page_data(labels, ["seed 1"], source="abc")
    (direction,) = data["directions"]
    assert (direction["index"], direction["name"], direction["starred"]) == (2, "Smile", True)
    assert [score[:2] for score in direction["scores"]] == [("Effect", "0.500"), ("Own score", "1.00")]
    assert [name for name, _ in data["notes"]] == ["Effect"]
    assert re.search("standard deviation", direction["scores"][0][2])
