import contextlib
import io
import json
import os
import pickle
import subprocess
import sys
import zipfile

import pytest
import torch
from PIL import Image

import stylegan2
from ganspace_topdis.errors import CheckpointError, InvalidArgumentError
from ganspace_topdis.runs.checksummed import load_checksummed, save_checksummed
from stylegan2 import Generator, load, save
from stylegan2.conversion import convert, inspect
from stylegan2.loading import known_data
from tests.stylegan2.foreign_files import flat_tensors, torch_bytes
from tests.stylegan2.nvidia_files import persistent_tree, snapshot_bytes

SMALL = {"z_dim": 4, "w_dim": 4, "img_resolution": 8, "num_mapping_layers": 1, "channel_base": 16}

LOAD_AND_MEASURE = r"""
import json, re, sys, time
from pathlib import Path
import stylegan2, stylegan2.loading  # the latter imports torch, which is not to be measured
def peak():
    return 1024 * int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1])
before, start = peak(), time.process_time()
stylegan2.load(sys.argv[1])
print(json.dumps([time.process_time() - start, peak() - before]))
"""


def refusal(path):
    """The message, one line, that loading `path` raises."""
    with pytest.raises(CheckpointError) as caught:
        stylegan2.load(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    assert "no file" in refusal(tmp_path / "absent.pkl")


def test_a_name_that_no_file_can_have_is_refused():
    with pytest.raises(CheckpointError, match="cannot be opened: File name too long; check the path"):
        load(300 * "a")


def test_a_folder_is_refused(tmp_path):
    assert "folder" in refusal(tmp_path)


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "empty.pkl").write_bytes(b"")
    assert "empty" in refusal(tmp_path / "empty.pkl")


def test_every_truncation_is_refused(tmp_path):
    data = snapshot_bytes(Generator(**SMALL))
    path = tmp_path / "cut.pkl"
    for length in range(1, len(data), len(data) // 60):
        path.write_bytes(data[:length])
        refusal(path)


def test_a_damaged_structure_is_refused(tmp_path):
    data = snapshot_bytes(Generator(**SMALL))
    path = tmp_path / "damaged.pkl"
    path.write_bytes(data[:40] + b"\x00" * 40 + data[80:])
    assert "damaged" in refusal(path)


def test_a_pickle_that_names_os_system_is_refused_by_that_name_and_runs_nothing(tmp_path):
    class Attack:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'ran'}",)

    path = tmp_path / "attack.pkl"
    path.write_bytes(pickle.dumps({"G_ema": Attack()}))
    assert f"{os.system.__module__}.system" in refusal(path)
    assert not (tmp_path / "ran").exists()


def test_the_source_text_in_a_snapshot_is_not_run(tmp_path):
    path = tmp_path / "g.pkl"
    path.write_bytes(snapshot_bytes(Generator(**SMALL)))  # its text would raise SystemExit
    stylegan2.load(path)


@pytest.mark.parametrize(("kind", "word"), [("PNG", "PNG image"), ("JPEG", "JPEG image"), ("WEBP", "WebP")])
def test_an_image_renamed_to_pkl_is_recognized(tmp_path, kind, word):
    Image.new("RGB", (8, 8)).save(tmp_path / "image.pkl", format=kind)
    assert word in refusal(tmp_path / "image.pkl")


def test_a_zip_archive_renamed_to_pkl_is_recognized(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("photo.txt", "hello")
    (tmp_path / "archive.pkl").write_bytes(buffer.getvalue())
    assert "zip archive" in refusal(tmp_path / "archive.pkl")


def test_a_web_page_in_place_of_the_download_is_recognized(tmp_path):
    (tmp_path / "page.pkl").write_bytes(b"<!DOCTYPE html><html></html>")
    assert "web page" in refusal(tmp_path / "page.pkl")


def test_an_unknown_device_is_refused(tmp_path):
    path = stylegan2.save(Generator(**SMALL), tmp_path / "g.safetensors")
    with pytest.raises(InvalidArgumentError, match="toaster"):
        stylegan2.load(path, device="toaster")


def test_loading_imports_no_compiler(tmp_path):
    path = stylegan2.save(Generator(**SMALL), tmp_path / "g.safetensors")
    code = f"import sys, stylegan2; stylegan2.load({str(path)!r}); assert 'sympy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc")
@pytest.mark.parametrize("with_training", [False, True], ids=["121 MB", "363 MB"])
def test_a_large_snapshot_takes_two_seconds_and_two_and_a_half_times_its_size(tmp_path, with_training):
    torch.manual_seed(0)
    generator = Generator(img_resolution=256)
    others = (persistent_tree(generator), persistent_tree(generator)) if with_training else None
    path = tmp_path / "network.pkl"
    path.write_bytes(snapshot_bytes(generator, others=others))
    command = [sys.executable, "-c", LOAD_AND_MEASURE, str(path)]
    seconds, grown = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert seconds < 2
    assert grown < 2.5 * path.stat().st_size


@pytest.fixture
def snapshot(tmp_path, reference_generator):
    path = tmp_path / "network.pkl"
    path.write_bytes(snapshot_bytes(reference_generator))
    return path


@pytest.mark.parametrize("to", ["safetensors", "rosinality"])
def test_a_round_trip_keeps_every_bit(tmp_path, snapshot, reference_generator, to):
    again = stylegan2.load(convert(snapshot, tmp_path / "out", to=to)).state_dict()
    assert all(torch.equal(again[name], tensor) for name, tensor in reference_generator.state_dict().items())


def test_a_round_trip_through_rosinality_and_back_gives_the_same_file(tmp_path, snapshot):
    first = convert(snapshot, tmp_path / "first.pt", to="rosinality")
    second = convert(convert(first, tmp_path / "a.safetensors"), tmp_path / "second.pt", to="rosinality")
    assert torch.load(first).keys() == torch.load(second).keys()


def test_inspect_describes_format_sizes_and_layers_as_json(snapshot):
    report = json.loads(json.dumps(inspect(snapshot)))
    assert report["format"] == "NVIDIA PyTorch pickle"
    assert (report["img_resolution"], report["num_ws"], report["conditional"]) == (32, 8, False)
    assert report["channels"] == {"4": 16, "8": 16, "16": 16, "32": 8}
    assert len(report["sha256"]) == 64


def test_inspect_lists_what_was_filled_in(tmp_path, reference_generator):
    (tmp_path / "g.pt").write_bytes(torch_bytes({"g_ema": flat_tensors(reference_generator, "rosinality")}))
    assert any("mean style was missing" in note for note in inspect(tmp_path / "g.pt")["notes"])


@pytest.mark.parametrize("options", [{"c_dim": 2}, {"activation": "swish"}, {"mapping_activation": "relu"}])
def test_rosinality_cannot_hold_classes_or_another_activation(tmp_path, options):
    generator = Generator(z_dim=2, w_dim=2, img_resolution=8, num_mapping_layers=1, channel_base=16, **options)
    path = stylegan2.save(generator, tmp_path / "g.safetensors")
    with pytest.raises(InvalidArgumentError, match=r"unconditional.*leaky ReLU"):
        convert(path, tmp_path / "g.pt", to="rosinality")


def test_half_precision_keeps_filters_and_refuses_what_it_cannot_hold(tmp_path):
    config = {"z_dim": 8, "w_dim": 8, "img_resolution": 8, "num_mapping_layers": 1, "channel_base": 32}
    generator = Generator(**config, resample_taps=(0.1, 0.4, 0.3, 0.2)).eval()
    read_back = load(save(generator, tmp_path / "half.safetensors", half=True))
    assert read_back.config.resample_taps == generator.config.resample_taps
    assert torch.equal(read_back.synthesis.b4.const, generator.synthesis.b4.const.half().float())
    generator.synthesis.b4.const.data[0, 0, 0] = -70_000
    with pytest.raises(InvalidArgumentError, match=r"numbers up to 65504, but synthesis\.b4\.const has 70000"):
        save(generator, tmp_path / "large.safetensors", half=True)
    assert not (tmp_path / "large.safetensors").exists()


@pytest.mark.parametrize("source", ["my notes", {"data": []}, {"data": 5}, None, []])
def test_a_source_of_another_form_names_no_known_data(tmp_path, source):
    generator = Generator(z_dim=8, w_dim=8, img_resolution=32, num_mapping_layers=1, channel_base=32).eval()
    path = save(generator, tmp_path / "own.safetensors")
    tensors, description = load_checksummed(path)
    save_checksummed(path, tensors, {**description, "source": source})
    assert known_data(path) is None


def test_an_unknown_target_is_refused(tmp_path, snapshot):
    with pytest.raises(InvalidArgumentError, match="safetensors, rosinality"):
        convert(snapshot, tmp_path / "out", to="onnx")


@pytest.mark.parametrize("to", ["safetensors", "rosinality"])
def test_rectangular_generators_are_inspected_and_converted_bit_for_bit(tmp_path, to):
    generator = Generator(**{**SMALL, "base_size": (4, 2)}).eval()
    path = stylegan2.save(generator, tmp_path / "g.safetensors")
    facts = json.loads(json.dumps(inspect(path)))
    assert (facts["image_size"], facts["base_size"], facts["img_resolution"]) == ([8, 4], [4, 2], 8)
    again = stylegan2.load(convert(path, tmp_path / "out", to=to)).state_dict()
    assert all(torch.equal(again[name], tensor) for name, tensor in generator.state_dict().items())


def test_inspect_lists_the_assumed_clamp_of_a_bare_state_dict(tmp_path):
    (tmp_path / "g.pt").write_bytes(torch_bytes(dict(Generator(**SMALL).state_dict())))
    assert any("assumed not to be clamped" in note for note in inspect(tmp_path / "g.pt")["notes"])


def test_a_file_without_base_size_is_square(tmp_path):
    generator = Generator(**SMALL)
    config = generator.config.to_dict()
    del config["base_size"]
    description = {"kind": "stylegan2 generator", "version": 1, "config": config}
    path = save_checksummed(tmp_path / "g.safetensors", generator.state_dict(), description)
    assert stylegan2.load(path).config == generator.config


@pytest.mark.parametrize(("asked", "allowed"), [(None, False), ("0", False), ("1", True)])
def test_tf32_is_off_on_a_gpu_unless_it_is_asked_for(monkeypatch, asked, allowed):
    backends = (torch.backends.cudnn, torch.backends.cuda.matmul)
    monkeypatch.delenv("TOPDIS_TF32", raising=False)
    if asked is not None:
        monkeypatch.setenv("TOPDIS_TF32", asked)
    before = [each.allow_tf32 for each in backends]
    try:
        for each in backends:
            each.allow_tf32 = not allowed
        with contextlib.suppress(InvalidArgumentError):  # there is no GPU here
            stylegan2.load("scenes", "cuda")
        assert [each.allow_tf32 for each in backends] == [allowed, allowed]
    finally:
        for each, value in zip(backends, before, strict=True):
            each.allow_tf32 = value
