from vae.data.commands import describe_set, list_sets
from vae.data.tables import check_text, info_text, list_text


def test_the_list_has_a_line_a_set_and_columns_that_line_up():
    lines = list_text(list_sets()).splitlines()
    assert len(lines) == 1 + len(list_sets())
    column = lines[0].index("shows")
    assert all(line[column - 2 : column] == "  " and line[column] != " " for line in lines)


def test_a_description_names_factors_sums_and_how_to_get_the_file():
    text = info_text(describe_set("3dfaces"))
    assert "factor    azimuth: 21 values, linear" in text
    assert "to get    its authors send it" in text
    assert "git_sha1 d98996d3f8ee1550e06b9d4ed78d0beb478910d5" in info_text(describe_set("dsprites-npz"))


def test_a_check_says_of_a_file_whether_it_is_the_published_one():
    file = {"path": "a", "num_bytes": 1000, "algorithm": "md5", "found": "1", "expected": "2", "firm": True}
    said = [
        check_text({"name": "x", "files": [{**file, **changes}]})
        for changes in ({"matches": True}, {"matches": False}, {"matches": False, "firm": False}, {"matches": None})
    ]
    assert said[0] == "a: 1,000 bytes, its md5 is the published one"
    assert "NOT the published file: its md5 is 1, published was 2" in said[1]
    assert said[2].endswith("published was 2, for an earlier upload")
    assert said[3].endswith("no published sum is known")
