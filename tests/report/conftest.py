"""The browser of the page tests."""

from tests.traversal.conftest import browser

__all__ = ["browser"]
