import http.client
import re
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from ganspace_topdis.latent.directions import Directions

PAGE = Path(__file__).parents[2] / "docs" / "explore.md"


def test_the_code_of_the_page_serves_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.S)
    code = code.replace("port=8000", "port=0").replace("server.serve_forever()", "serve(server)")
    axes = torch.eye(3, 10)
    answers: list[int] = []

    def serve(server: Any) -> None:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
        connection.request("GET", "/")
        answer = connection.getresponse()
        answer.read()
        connection.close()
        answers.append(answer.status)
        server.shutdown()

    given = {
        "torch": torch,
        "serve": serve,
        "generate": lambda codes: codes[:, :3, None, None].expand(-1, -1, 64, 64),
        "directions": Directions(
            vectors=axes, dual_vectors=axes, mean=torch.zeros(10), span=axes, scales=torch.ones(3)
        ),
    }
    exec(code, given)
    assert answers == [200]
