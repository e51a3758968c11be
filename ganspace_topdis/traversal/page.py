"""The page of sliders as HTML: the template with its style, scripts and data put in.

The page that `explorer` writes and the one that `live` serves are the same but for one script: where frames come
from. Style and scripts are inside the page, and its content security policy allows nothing else: their hashes,
images from data: URIs, and, for the live page, requests to the server it came from. Names and scores come from
files, so all text is data to the script, or escaped.
"""

import base64
import hashlib
import html
import json
import re
from collections.abc import Sequence
from importlib import resources
from typing import Any, Literal

from ganspace_topdis.traversal.labels import SCORE_NOTES, DirectionLabel, score_texts
from ganspace_topdis.traversal.names import NAMES_FORMAT

__all__ = ["FrameSource", "content_policy", "fill_page", "page_data", "page_overhead"]

FrameSource = Literal["held", "live"]


def page_data(labels: Sequence[DirectionLabel], seeds: Sequence[str], *, source: str) -> dict[str, Any]:
    """What both pages tell their script: directions with names, stars and scores; seeds; what the numbers mean."""
    known = {key: SCORE_NOTES[key] for label in labels for key in label.scores if key in SCORE_NOTES}
    return {
        "source": source,
        "namesFormat": NAMES_FORMAT,
        "seeds": list(seeds),
        "notes": list(known.values()),
        "directions": [
            {
                "index": label.index,
                "name": label.name,
                "starred": label.starred,
                "scores": [
                    (*texts, SCORE_NOTES.get(key, ("", ""))[1])
                    for key, texts in zip(label.scores, score_texts(label), strict=True)
                ],
            }
            for label in labels
        ],
    }


def fill_page(frames_from: FrameSource, *, title: str, subtitle: str, data: dict[str, Any]) -> str:
    """The template with its parts put in, in one pass: what is put in is not searched again."""
    parts = {
        "policy": content_policy(frames_from),
        "title": html.escape(title),
        "subtitle": html.escape(subtitle),
        "style": _asset("explorer.css"),
        "script": _script(frames_from),
        "data": _script_json(data),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _asset("explorer.html"))


def content_policy(frames_from: FrameSource) -> str:
    """What the page may load: its own style and scripts, images inside it, and of the live page its server."""
    connect = "connect-src 'self'; " if frames_from == "live" else ""
    return (
        f"default-src 'none'; img-src data:; {connect}style-src {_hash(_asset('explorer.css'))}; "
        f"script-src {_hash(_script(frames_from))}; base-uri 'none'; form-action 'none'"
    )


def page_overhead() -> int:
    """The bytes of a page of held frames without its data."""
    return sum(len(text.encode()) for text in (_asset("explorer.html"), _asset("explorer.css"), _script("held")))


def _script(frames_from: FrameSource) -> str:
    return _asset(f"frames_{frames_from}.js") + _asset("explorer.js")


def _script_json(value: Any) -> str:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def _asset(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
