"""Data sets with known factors behind one interface: `open_data("dsprites")`."""

from vae.data.dataset import DataSet
from vae.data.opening import names, open_data

__all__ = ["DataSet", "names", "open_data"]
