import dataclasses
import hashlib
import json
import re

import pytest

from ganspace_topdis import program
from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.runs.transfer import DownloadError
from tests.vae.data.published import plausible_images, random_images, small_info, write_npz
from vae.commands.data import check_text, describe_text, list_text
from vae.data import inventory as commands
from vae.data import open_data
from vae.data.catalog import CATALOG
from vae.data.inventory import check_set, describe_set, fetch_set, list_sets
from vae.data.source_files import DataFileError

INFO = small_info("mpi3d-toy", (6, 6, 1, 1, 1, 2, 2))


@pytest.fixture
def small(monkeypatch):
    """Put a small set in the place of mpi3d-toy."""

    def put(**sums):
        info = dataclasses.replace(INFO, files=(dataclasses.replace(INFO.files[0], **sums),))
        monkeypatch.setitem(CATALOG, info.name, info)
        return info

    return put


def check(name, root):
    return check_set(name, root)


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as left:
        program.main(["data", *map(str, arguments)])
    return left.value.code, capsys.readouterr()


def test_the_list_says_of_every_set_whether_it_is_here(tmp_path, monkeypatch):
    (tmp_path / "3dshapes.h5").write_bytes(b"")
    monkeypatch.setenv("TOPDIS_DATA", str(tmp_path))
    states = {record["name"]: record["state"] for record in list_sets()["sets"]}
    assert set(states) == set(CATALOG)
    assert states["dsprites"] == "procedural"
    assert states["3dshapes"] == "local"
    assert states["mpi3d-toy"] == "downloadable"
    assert states["3dfaces"] == "manual"


def test_a_set_is_described_with_its_sums_and_where_it_is(tmp_path, monkeypatch):
    (tmp_path / "3dshapes.h5").write_bytes(b"")
    monkeypatch.setenv("TOPDIS_DATA", str(tmp_path))
    record = describe_set("3dshapes")
    assert record["files"][0]["path"] == str(tmp_path / "3dshapes.h5")
    assert record["files"][0]["sha256"] == CATALOG["3dshapes"].files[0].sha256
    assert record["factors"][0] == {"name": "floor_hue", "size": 10, "kind": "circular"}


def test_fetching_asks_for_the_known_sum_and_the_data_folder(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(commands, "fetch", lambda url, **options: asked.append((url, options)) or tmp_path / "x")
    assert fetch_set("3dshapes")["files"] == [str(tmp_path / "x")]
    (url, options), file = asked[0], CATALOG["3dshapes"].files[0]
    assert (url, options["sha256"], options["kind"]) == (file.url, file.sha256, "data")
    assert fetch_set("smallnorb")["files"] == [str(tmp_path / "x")] * 6


def test_a_fetched_file_of_another_md5_is_refused(monkeypatch, tmp_path, small):
    small(md5="0" * 32, pinned=True)
    (tmp_path / "x").write_bytes(b"other")
    monkeypatch.setattr(commands, "fetch", lambda *_, **__: tmp_path / "x")
    with pytest.raises(DataFileError, match=r"mpi3d_toy\.npz was downloaded with the md5"):
        fetch_set("mpi3d-toy")["files"]


def test_sets_that_need_a_person_say_what_to_do():
    with pytest.raises(DataFileError, match=r"its authors send it to holders .* TOPDIS_DATA"):
        fetch_set("3dfaces")["files"]


def test_procedural_sets_need_no_fetching():
    assert fetch_set("dsprites")["files"] == []


def test_offline_nothing_is_downloaded():
    with pytest.raises(DownloadError, match="TOPDIS_OFFLINE"):
        fetch_set("3dshapes")["files"]


def test_a_published_file_is_read_and_its_array_checked(tmp_path, small):
    path = write_npz(tmp_path / "mpi3d_toy.npz", images=random_images(INFO))
    small(sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    record = check("mpi3d-toy", path)
    assert record["good"]
    assert record["files"][0]["matches"]
    assert record["content"] is None
    assert (record["num_images"], record["num_read"]) == (144, 144)
    assert record["mean"] == pytest.approx(random_images(INFO).mean(), abs=0.01)
    assert [array["matches"] for array in record["arrays"]] == [True]


def test_a_file_with_another_checksum_that_cannot_be_read_is_reported_with_the_reason(tmp_path, small):
    small(sha256="0" * 64, pinned=True)
    (tmp_path / "a.npz").write_bytes(b"anything")
    record = check("mpi3d-toy", tmp_path / "a.npz")
    assert not record["good"]
    assert "num_images" not in record
    assert "a.npz is not an .npz file or is damaged" in record["content"]["found"]


SUMS = {"repacked": {"sha256": "0" * 64, "pinned": True}, "earlier upload": {"md5": "0" * 32}, "no checksum": {}}


@pytest.mark.parametrize("sums", SUMS.values(), ids=SUMS)
def test_a_file_is_accepted_as_it_would_be_opened(tmp_path, small, sums):
    small(**sums)
    right = write_npz(tmp_path / "a.npz", images=plausible_images(INFO))
    record = check("mpi3d-toy", right)
    assert record["good"]
    assert record["content"]["good"]
    assert record["files"][0]["matches"] is (False if sums else None)
    assert record["num_images"] == 144
    with pytest.warns(UserWarning, match=re.escape(record["content"]["found"])):
        open_data("mpi3d-toy", root=right)

    wrong = write_npz(tmp_path / "b.npz", images=random_images(INFO))
    record = check("mpi3d-toy", wrong)
    assert not record["good"]
    assert not record["content"]["good"]
    with pytest.raises(DataFileError, match=re.escape(record["content"]["found"])):
        open_data("mpi3d-toy", root=wrong)


def test_an_unknown_set_or_variation_is_refused():
    for ask in (describe_set, fetch_set, check_set):
        with pytest.raises(InvalidArgumentError, match="'none' is unknown"):
            ask("none")
        with pytest.raises(InvalidArgumentError, match="noise"):
            ask("3dshapes:noise")


def test_a_varied_set_is_described_as_it_is_opened():
    record, data = describe_set("dsprites:scale=2,px=16"), open_data("dsprites:scale=2,px=16")
    assert record["num_images"] == len(data) == 245_760
    assert record["image_shape"] == [16, 16, 1]
    assert record["factor_sizes"] == [3, 2, 40, 32, 32]
    assert record["name"] == "dsprites:scale=2,px=16"


def test_the_commands_print_tables_or_json(capsys, tmp_path):
    code, printed = run(capsys, "list")
    assert code == 0
    assert "mpi3d-complex" in printed.out
    assert json.loads(run(capsys, "list", "--json")[1].out)["sets"][0]["name"] == "dsprites"
    assert "sha256 0a0f6ed9" in run(capsys, "info", "3dshapes")[1].out
    assert "supervised scores cannot be computed" in run(capsys, "info", "celeba")[1].out
    assert json.loads(run(capsys, "check", "dsprites", "--json")[1].out)["good"] is True
    assert json.loads(run(capsys, "fetch", "dsprites", "--json")[1].out) == {"files": []}


@pytest.mark.parametrize(
    ("images", "code", "verdict"),
    [
        (plausible_images, 0, "mpi3d-toy: read with a warning: of 256 sampled"),
        (random_images, 1, "mpi3d-toy: REFUSED: "),
    ],
    ids=["repacked", "another file"],
)
def test_check_exits_with_1_if_checksum_and_content_differ(capsys, tmp_path, small, images, code, verdict):
    small(sha256="0" * 64, pinned=True)
    found, printed = run(capsys, "check", "mpi3d-toy", write_npz(tmp_path / "a.npz", images=images(INFO)))
    assert found == code
    assert "NOT the published file byte by byte" in printed.out
    assert verdict in printed.out


def test_a_damaged_array_in_the_cache_is_reported(capsys, tmp_path, small, cache):
    info = small(md5="0" * 32, pinned=False)
    path = write_npz(tmp_path / "a.npz", images=plausible_images(info))
    check("mpi3d-toy", path)
    (made,) = (cache / "data" / "arrays" / "mpi3d-toy").iterdir()
    made.rename(made.with_name("old"))
    (made.with_name("old") / "record.json").write_text('{"sha256": "0"}')
    code, printed = run(capsys, "check", "mpi3d-toy", path)
    assert code == 0
    assert "old/images.u8: 1,769,472 bytes, DAMAGED" in printed.out
    assert "for an earlier upload" in printed.out


def test_the_sheet_of_another_file_needs_no_verify(capsys, tmp_path, small):
    small(sha256="0" * 64, pinned=True)
    path = write_npz(tmp_path / "mpi3d_toy.npz", images=random_images(INFO))
    command = ("sheet", "mpi3d-toy", "--data-root", path, "--out", tmp_path / "sheet.png")
    code, printed = run(capsys, *command)
    assert code == 1
    assert "the published mpi3d_toy.npz has" in printed.err
    assert not (tmp_path / "sheet.png").exists()
    assert run(capsys, *command, "--no-verify")[0] == 0
    assert (tmp_path / "sheet.png").exists()


def test_a_sheet_is_replaced_only_if_asked(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dsprites.png").write_text("mine")
    command = ("sheet", "dsprites", "--columns", 2, "--cell", 16)
    code, printed = run(capsys, *command)
    assert code == 1
    assert printed.err == "error: dsprites.png would be replaced; give --force, or another --out\n"
    assert (tmp_path / "dsprites.png").read_text() == "mine"
    assert run(capsys, *command, "--force")[0] == 0


def test_a_set_without_files_says_so(capsys):
    assert run(capsys, "fetch", "dsprites")[1].out == "dsprites needs no files\n"


def test_a_contact_sheet_is_a_png_file(capsys, tmp_path):
    code, printed = run(capsys, "sheet", "dsprites", "--out", tmp_path / "sheet.jpg")
    assert code == 2
    assert "but must be a file that ends in .png" in printed.err


def test_a_contact_sheet_is_written(capsys, tmp_path):
    code, printed = run(capsys, "sheet", "dsprites", "--out", tmp_path / "sheet.png", "--columns", 4)
    assert code == 0
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
    assert printed.out.strip() == str(tmp_path / "sheet.png")


def test_errors_are_one_line(capsys):
    code, printed = run(capsys, "check", "3dshapes")
    assert code == 1
    assert printed.err.startswith("error: 3dshapes is not on this machine: `topdis-gan data fetch 3dshapes`")
    assert printed.err.count("\n") == 1


def test_the_list_has_every_set_below_its_state_in_eighty_columns():
    text = list_text(list_sets(), {})
    assert max(map(len, text.splitlines())) <= 80
    parts = dict(part.split("\n", 1) for part in text.split("\n\n")[:-1])
    drawn, manual = (
        next(part for heading, part in parts.items() if heading.startswith(start)) for start in ("drawn", "to get")
    )
    assert re.search(r"^  dsprites +737,280  64 x 64 x 1  white shapes", drawn, re.MULTILINE)
    assert "3dfaces" in manual
    assert sum(len(re.findall(r"^  \w", part, re.MULTILINE)) for part in parts.values()) == len(list_sets()["sets"])


@pytest.mark.parametrize("name", [each["name"] for each in list_sets()["sets"]])
def test_a_description_fits_eighty_columns_except_addresses(name: str):
    long = [line for line in describe_text(describe_set(name), {}).splitlines() if len(line) > 80]
    assert all(max(map(len, line.split())) > 50 for line in long), long


def test_a_description_names_factors_sums_and_how_to_get_the_file():
    text = describe_text(describe_set("3dfaces"), {})
    assert "factor    azimuth: 21 values, linear" in text
    assert "to get    its authors send it" in text
    assert "git_sha1 d98996d3f8ee1550e06b9d4ed78d0beb478910d5" in describe_text(describe_set("dsprites-npz"), {})


def test_a_check_says_of_a_file_whether_it_is_the_published_one():
    file = {"path": "a", "num_bytes": 1000, "algorithm": "md5", "found": "1", "expected": "2", "pinned": True}
    said = [
        check_text({"name": "x", "files": [{**file, **changes}]}, {})
        for changes in ({"matches": True}, {"matches": False}, {"matches": False, "pinned": False}, {"matches": None})
    ]
    assert said[0] == "a: 1,000 bytes, its md5 is the published one"
    assert "NOT the published file byte by byte: its md5 is 1, the published one was 2" in said[1]
    assert said[2].endswith("the published one was 2, for an earlier upload")
    assert said[3].endswith("no published checksum is known")
