import http.client
import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from ganspace_topdis.errors import InvalidArgumentError
from ganspace_topdis.traversal.frames import to_uint8
from ganspace_topdis.traversal.live.renderer import LiveModel, Renderer
from ganspace_topdis.traversal.live.server import LiveServer, PageSettings
from ganspace_topdis.traversal.names import DirectionName, NamesStore, default_labels, read_names
from tests.traversal.pages import copied

JSON = {"Content-Type": "application/json"}
STATE = {"seed": 1, "shifts": {"0": 1.0}}
REQUEST = {"page": "p", "channel": "view", "number": 1, "psi": 1.0, "layers": None, "states": [STATE]}


def code_of_seed(seed: int, psi: float) -> torch.Tensor:
    code = psi * torch.randn(1, 3, generator=torch.Generator().manual_seed(seed))
    return code[:, None].expand(1, 4, 3).clone()


class Slow:
    """Draws after a rest, and counts."""

    def __init__(self, generate: Any) -> None:
        self.generate, self.rest_s, self.num_drawn = generate, 0.0, 0

    def __call__(self, codes: torch.Tensor, psi: float) -> torch.Tensor:
        self.num_drawn += len(codes)
        time.sleep(self.rest_s)
        return self.generate(codes)


@pytest.fixture
def slow(paint: Any) -> Slow:
    return Slow(paint(3, 32, 32))


@pytest.fixture
def server(slow: Slow, axes: Any, tmp_path: Path) -> Iterator[LiveServer]:
    model = LiveModel(
        generate=slow,
        directions=axes,
        code_of_seed=code_of_seed,
        image_px=(32, 32),
        num_layers=4,
        own_layers=(0, 1),
        layer_ranges=[("all", (0, 1, 2, 3)), ("coarse", (0, 1))],
    )
    settings = PageSettings(
        labels=default_labels(3), seeds=[1, 2], source="abc", truncation_psi=1.0, command="topdis-gan edit RUN"
    )
    names = NamesStore(tmp_path, num_directions=3, source="abc")
    with LiveServer(Renderer(model), names, settings) as live:
        thread = threading.Thread(target=live.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield live
        live.shutdown()
        thread.join(timeout=10)


def ask(
    server: LiveServer, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> tuple[int, bytes, http.client.HTTPResponse]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    connection.request(method, path, data, headers if headers is not None else (JSON if data is not None else {}))
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content, answer


def test_it_listens_on_this_machine_only(server: LiveServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert server.url == f"http://127.0.0.1:{server.server_port}/"


@pytest.mark.parametrize(
    "path",
    [
        "/names.json",
        "/../../etc/passwd",
        "/..%2f..%2fetc/passwd",
        "/%2e%2e/config.json",
        "//etc/passwd",
        "/frames",
        "/?x",
        "/.",
    ],
)
def test_no_address_other_than_the_pages_own_exists(server: LiveServer, tmp_path: Path, path: str) -> None:
    (tmp_path / "names.json").write_text('{"secret": 1}')
    status, content, _ = ask(server, "GET", path)
    assert (status, content) == (404, b"there is nothing here")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "", "[::1]:{port}"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_name_for_this_machine_is_refused(server: LiveServer, slow: Slow, host: str, method: str) -> None:
    headers = {**JSON, "Host": host.format(port=server.server_port)}
    path, body = ("/", None) if method == "GET" else ("/frames", REQUEST)
    status, content, _ = ask(server, method, path, body, headers)
    assert status == 403
    assert b"<html" not in content
    assert slow.num_drawn == 0


def test_the_port_of_http_is_left_out_by_browsers(server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(server, "GET", "/", headers={"Host": "localhost"})[0] == 403
    monkeypatch.setattr("ganspace_topdis.traversal.live.http_server._HTTP_PORT", server.server_port)
    for name in ("localhost", "127.0.0.1"):
        assert ask(server, "GET", "/", headers={"Host": name, "Origin": f"http://{name}"})[0] == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1:1"])
@pytest.mark.parametrize("path", ["/frames", "/names"])
def test_requests_from_pages_of_other_sites_are_refused(
    server: LiveServer, slow: Slow, tmp_path: Path, origin: str, path: str
) -> None:
    body = REQUEST if path == "/frames" else {"index": 0, "name": "x", "starred": True}
    assert ask(server, "POST", path, body, {**JSON, "Origin": origin})[0] == 403
    assert slow.num_drawn == 0
    assert not (tmp_path / "names.json").exists()


def test_a_form_on_another_site_cannot_send_anything(server: LiveServer, tmp_path: Path) -> None:
    body = {"index": 0, "name": "x", "starred": True}
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        assert ask(server, "POST", "/names", body, {"Content-Type": kind})[0] == 415
    assert not (tmp_path / "names.json").exists()


def test_a_request_without_end_or_too_large_is_refused(server: LiveServer) -> None:
    assert ask(server, "POST", "/frames", b"x" * 300_000)[0] == 413
    assert ask(server, "POST", "/frames", b"", {**JSON, "Content-Length": "9" * 30})[0] == 413
    assert ask(server, "POST", "/frames", b"", {**JSON, "Content-Length": "-1"})[0] == 411


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "HEAD", "TRACE"])
def test_other_methods_are_refused(server: LiveServer, method: str) -> None:
    assert ask(server, method, "/")[0] == 501


def test_the_answer_to_an_invalid_request_names_the_invalid_field(server: LiveServer) -> None:
    status, content, _ = ask(server, "POST", "/frames", {**REQUEST, "psi": 9})
    assert status == 400
    assert content.startswith(b"psi is '9'")


def test_answers_are_neither_cached_nor_shared(server: LiveServer) -> None:
    status, _, answer = ask(server, "POST", "/frames", REQUEST)
    assert status == 200
    assert answer.headers["Content-Type"] == "image/webp"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert answer.headers["Access-Control-Allow-Origin"] is None
    assert "Python" not in answer.headers["Server"]


def test_only_the_newest_state_of_a_dragged_slider_is_drawn(server: LiveServer, slow: Slow) -> None:
    slow.rest_s = 0.3
    answers: dict[int, int] = {}

    def move(number: int) -> None:
        answers[number] = ask(server, "POST", "/frames", {**REQUEST, "number": number})[0]

    threads = [threading.Thread(target=move, args=(number,)) for number in range(1, 31)]
    for thread in threads:
        thread.start()
        time.sleep(0.005)
    for thread in threads:
        thread.join(timeout=20)
    assert answers[30] == 200
    assert set(answers.values()) == {200, 204}
    assert slow.num_drawn == list(answers.values()).count(200) <= 3


def test_a_generator_failure_is_reported_and_the_server_keeps_running(
    server: LiveServer, slow: Slow, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(codes: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("out of memory at 0x7f")

    whole = slow.generate
    slow.generate = fail
    status, content, _ = ask(server, "POST", "/frames", REQUEST)
    assert (status, content) == (500, b"the generator failed (RuntimeError)")
    assert "out of memory" in capsys.readouterr().err
    slow.generate = whole
    assert ask(server, "POST", "/frames", {**REQUEST, "number": 2})[0] == 200


def test_a_client_disconnect_is_ignored(server: LiveServer, slow: Slow, capfd: pytest.CaptureFixture[str]) -> None:
    slow.rest_s = 0.1
    body = json.dumps(REQUEST).encode()
    head = f"POST /frames HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\nContent-Type: application/json\r\n"
    for sent in (b"POST", head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body):
        with socket.create_connection(("127.0.0.1", server.server_port)) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.sendall(sent)
            time.sleep(0.05)
    time.sleep(0.3)
    assert ask(server, "POST", "/frames", {**REQUEST, "number": 2})[0] == 200
    assert capfd.readouterr().err == ""


def test_a_port_in_use_is_refused_by_its_number(server: LiveServer) -> None:
    with pytest.raises(InvalidArgumentError, match=f"port {server.server_port} cannot be used"):
        LiveServer(server.renderer, server.names, server.settings, port=server.server_port)


@pytest.mark.parametrize("wrong", [{"extent": 0}, {"extent": float("nan")}, {"truncation_psi": 2}, {"seeds": []}])
def test_settings_are_validated_on_construction(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError):
        PageSettings(**{"labels": default_labels(1), "seeds": [0], **wrong})


@pytest.fixture
def page(browser: Any, server: LiveServer) -> Iterator[Any]:
    browser.open(server.url)
    browser.wait_for("document.getElementById('view').dataset.shown")
    yield browser
    browser.open("about:blank")


def shows(page: Any, seed: int, shifts: dict[str, float], psi: float = 1.0, layers: Any = (0, 1, 2, 3)) -> None:
    """Wait until the page shows this state, and see that its pixels are the generator's."""
    key = json.dumps([{"seed": seed, "shifts": shifts}, psi, list(layers)])
    page.wait_for(f"document.getElementById('view').dataset.shown === JSON.stringify({key})")


def pixel(page: Any) -> list[int]:
    return page.run("[...document.getElementById('view').getContext('2d').getImageData(16, 16, 1, 1).data].slice(0, 3)")


def slide(page: Any, direction: int, value: float) -> None:
    page.run(
        f"(() => {{ const slider = document.querySelectorAll('.direction input[type=range]')[{direction}];"
        f" slider.value = {value}; slider.dispatchEvent(new Event('input')); }})()"
    )


def test_the_page_opens_without_errors_and_contacts_its_own_server_only(page: Any, server: LiveServer) -> None:
    page.run("new Promise((done) => setTimeout(done, 500))")
    assert page.complaints() == []
    assert {url for url in page.requests() if not url.startswith(server.url)} == set()


def test_several_sliders_move_the_image_together(page: Any, paint: Any) -> None:
    slide(page, 0, 1.0)
    slide(page, 2, -2.0)
    shows(page, 1, {"0": 1, "2": -2})
    code = code_of_seed(1, 1.0) + torch.tensor([1.0, 0.0, -2.0])
    assert pixel(page) == to_uint8(paint()(code))[0, 0, 0].tolist()


def test_a_typed_seed_is_added_to_the_others(page: Any, paint: Any) -> None:
    page.run(
        "(() => { const number = document.getElementById('seed-number'); number.value = 77;"
        " number.dispatchEvent(new Event('change')); })()"
    )
    shows(page, 77, {})
    assert pixel(page) == to_uint8(paint()(code_of_seed(77, 1.0)))[0, 0, 0].tolist()
    assert page.run("document.querySelectorAll('#seeds input').length") == 3


def test_truncation_and_layers_are_those_chosen_on_the_page(page: Any, paint: Any) -> None:
    page.run(
        "(() => { const psi = document.getElementById('truncation'); psi.value = 0.5;"
        " psi.dispatchEvent(new Event('input')); })()"
    )
    page.click("#layer-ranges button:nth-child(2)")
    slide(page, 1, 2.0)
    shows(page, 1, {"1": 2}, 0.5, [0, 1])
    code = code_of_seed(1, 0.5)
    code[:, :2, 1] += 2.0
    assert pixel(page) == to_uint8(paint()(code))[0, 0, 0].tolist()


def test_the_command_names_layers_unless_they_are_those_that_it_takes_by_itself(page: Any) -> None:
    slide(page, 1, 2.0)
    command = "topdis-gan edit RUN --truncation-psi 1{} --seeds 1 --set 1=+2"
    assert copied(page, "copy-command", "topdis-gan edit") == command.format(" --layers all")
    page.click("#layer-ranges button:nth-child(2)")
    assert copied(page, "copy-command", "topdis-gan edit RUN --truncation-psi 1 --seeds") == command.format("")
    page.click("#layers button:nth-child(2)")
    assert copied(page, "copy-command", "--layers 0 ") == command.format(" --layers 0")


def test_without_a_layer_of_the_directions_there_is_no_command_and_the_link_keeps_that(page: Any) -> None:
    slide(page, 1, 2.0)
    page.click("#layer-ranges button:nth-child(2)")
    page.click("#layers button:nth-child(3)")
    page.click("#layers button:nth-child(1)")
    page.click("#layers button:nth-child(2)")
    assert page.run("document.getElementById('copy-command').disabled")  # layer 2 alone, found in 0 and 1
    page.click("#layers button:nth-child(3)")
    assert page.run("document.getElementById('copy-command').disabled")
    page.open(copied(page, "copy-link", "#"))
    shows(page, 1, {"1": 2}, layers=[])


def test_playing_can_be_undone(page: Any) -> None:
    slide(page, 0, 1.0)
    page.run("new Promise((done) => setTimeout(done, 900))")
    page.click("#play")
    page.run("new Promise((done) => setTimeout(done, 400))")
    page.click("#play")
    assert page.run("Number(document.querySelector('.value').value)") != 1
    page.click("#undo")
    assert page.run("Number(document.querySelector('.value').value)") == 1


@pytest.mark.parametrize("extent", [0.27, 1.08, 2.16, 3.0])
def test_the_outermost_shift_is_the_extent_exactly(browser: Any, server: LiveServer, extent: float) -> None:
    server.settings = replace(server.settings, extent=extent)
    browser.open(server.url)
    browser.wait_for("document.getElementById('view').dataset.shown")
    browser.press("End")
    shows(browser, 1, {"0": int(extent) if extent == int(extent) else extent})
    browser.open("about:blank")


def test_a_slider_that_is_dragged_ends_on_its_last_state_and_skips_others(page: Any, slow: Slow) -> None:
    page.run("new Promise((done) => setTimeout(done, 600))")
    slow.rest_s, before = 0.05, slow.num_drawn
    page.run(
        "(async () => { const slider = document.querySelector('.direction input[type=range]');"
        " for (let step = 0; step <= 60; step++) { slider.value = step / 20; slider.dispatchEvent(new Event('input'));"
        " await new Promise((done) => setTimeout(done, 4)); } })()"
    )
    shows(page, 1, {"0": 3})
    assert slow.num_drawn - before < 30


def test_a_new_name_is_in_the_run_folder_and_on_the_page_after_a_reload(page: Any, tmp_path: Path) -> None:
    page.press("e")
    for key in "Sky":
        page.press(key)
    page.press("Enter")
    page.press("s")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        names = read_names(tmp_path / "names.json") if (tmp_path / "names.json").exists() else {}
        if 0 in names and names[0].starred:
            break
        time.sleep(0.02)
    assert (names[0].name, names[0].starred) == ("Sky", True)
    page.run("window.beforeReload = 1")
    page.send("Page.reload")
    page.wait_for("!window.beforeReload && document.readyState === 'complete' && document.querySelector('.name')")
    assert page.run("document.querySelector('.name').value") == "Sky"


def test_a_star_alone_saves_no_automatic_name(page: Any, tmp_path: Path) -> None:
    page.press("s")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and not (tmp_path / "names.json").exists():
        time.sleep(0.02)
    assert read_names(tmp_path / "names.json") == {0: DirectionName(name="", starred=True)}
    assert page.run("document.querySelector('.name').value") == "Direction 0"


@pytest.mark.parametrize("width_px", [320, 400, 820, 1280])
def test_no_width_needs_sideways_scrolling(page: Any, width_px: int) -> None:
    page.resize(width_px, 800)
    page.run("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 60)))")
    assert page.run("document.documentElement.scrollWidth") <= width_px


def test_every_control_has_an_accessible_name(page: Any) -> None:
    page.send("Accessibility.enable")
    nodes = page.send("Accessibility.getFullAXTree")["nodes"]
    roles = {"slider", "button", "radio", "textbox", "checkbox", "image", "spinbutton"}
    controls = [node for node in nodes if not node["ignored"] and node["role"]["value"] in roles]
    assert {node["role"]["value"] for node in controls} == roles
    assert [node for node in controls if not node["name"]["value"].strip()] == []


def test_letters_typed_into_a_seed_do_nothing_else(page: Any) -> None:
    slide(page, 0, 1.0)
    shows(page, 1, {"0": 1})
    page.click("#seed-number")
    for key in "r5s":
        page.press(key)
    assert page.run("document.querySelector('.direction .value').value") == "1"
    assert page.run("document.querySelector('.star').getAttribute('aria-pressed')") == "false"


def test_an_error_is_shown_on_the_page_until_a_request_succeeds(page: Any, slow: Slow) -> None:
    def fail(codes: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("out of memory")

    whole = slow.generate
    slow.generate = fail
    slide(page, 0, 1.5)
    page.wait_for("!document.getElementById('notice').hidden")
    assert "the generator failed" in page.run("document.getElementById('notice').textContent")
    slow.generate = whole
    slide(page, 0, 2.0)
    shows(page, 1, {"0": 2})
    page.wait_for("document.getElementById('notice').hidden")


SETTINGS_END = "document.getElementById('live').getBoundingClientRect().bottom"


@pytest.mark.parametrize(("width_px", "height_px"), [(1400, 900), (1366, 768), (400, 800)])
def test_truncation_and_layers_are_above_the_fold(page: Any, server: LiveServer, width_px: int, height_px: int) -> None:
    page.open(server.url, width_px, height_px)
    page.wait_for("document.getElementById('view').dataset.shown")
    assert page.run(SETTINGS_END) <= height_px


@pytest.fixture
def own(slow: Slow, axes: Any, tmp_path: Path) -> Iterator[LiveServer]:
    """A server with two codes of the user."""
    codes = torch.tensor([[0.5, -1.0, 2.0], [1.5, 0.0, -0.5]])[:, None].expand(-1, 4, 3)
    model = LiveModel(
        generate=slow, directions=axes, code_of_seed=code_of_seed, image_px=(32, 32), num_layers=4, latents=codes
    )
    settings = PageSettings(
        labels=default_labels(3),
        seeds=[1],
        command="topdis-gan edit --directions runs/a",
        latent_names=("photo 0", "photo 1"),
        latents_file="'my photo.npy'",
    )
    with LiveServer(Renderer(model), NamesStore(tmp_path, num_directions=3, source=""), settings) as live:
        thread = threading.Thread(target=live.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield live
        live.shutdown()
        thread.join(timeout=10)


def test_the_users_own_codes_are_shown_and_the_command_and_the_link_name_them(
    browser: Any, own: LiveServer, paint: Any
) -> None:
    browser.open(own.url)
    browser.wait_for("document.getElementById('view').dataset.shown")
    browser.press("n")
    slide(browser, 1, 2.0)
    key = json.dumps([{"latent": 1, "shifts": {"1": 2}}, 0.7, [0, 1, 2, 3]])
    browser.wait_for(f"document.getElementById('view').dataset.shown === JSON.stringify({key})")
    assert pixel(browser) == to_uint8(paint()(torch.tensor([[1.5, 2.0, -0.5]])))[0, 0, 0].tolist()
    assert browser.run("document.getElementById('truncation').disabled")
    command = copied(browser, "copy-command", "topdis-gan edit")
    assert command == "topdis-gan edit --directions runs/a --latents 'my photo.npy' --set 1=+2"
    address = copied(browser, "copy-link", "#")
    browser.open(address)
    browser.wait_for(f"document.getElementById('view').dataset.shown === JSON.stringify({key})")
    browser.press("n")
    browser.wait_for("!document.getElementById('truncation').disabled")
    browser.open("about:blank")


@pytest.mark.parametrize("latent", [2, -1, "0", True, None])
def test_a_code_that_does_not_exist_is_refused(own: LiveServer, server: LiveServer, latent: Any) -> None:
    request = {**REQUEST, "states": [{"latent": latent, "shifts": {}}]}
    for asked in (own, server):
        status, content, _ = ask(asked, "POST", "/frames", request)
        assert (status, content[:9]) == (400, b"latent is")
