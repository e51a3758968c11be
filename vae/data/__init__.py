"""Data sets behind one interface: `open_data("dsprites")`."""

from vae.data.dataset import DataSet
from vae.data.opening import names, open_data
from vae.data.source_files import DataFileError
from vae.data.variations import correlated, pooled, subset

__all__ = ["DataFileError", "DataSet", "correlated", "names", "open_data", "pooled", "subset"]
