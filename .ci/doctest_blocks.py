"""A griffe extension for the API pages: doctest examples in docstrings become fenced code blocks."""

import re
from typing import Any

import griffe

_EXAMPLE = re.compile(r"^(?P<indent> *)>>> .*(?:\n(?! *$).*)*", re.MULTILINE)  # up to the next empty line


class DoctestBlocks(griffe.Extension):
    """Fences every run of lines that starts with a `>>>` prompt."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Rewrite the docstring of each loaded object."""
        if obj.docstring is not None and ">>>" in obj.docstring.value:
            obj.docstring.value = _EXAMPLE.sub(
                lambda match: f"{match['indent']}```pycon\n{match[0]}\n{match['indent']}```", obj.docstring.value
            )
