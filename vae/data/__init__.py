"""Data sets with known factors behind one interface: `open_data("dsprites")`."""

from vae.data.correlated import correlated
from vae.data.dataset import DataSet
from vae.data.errors import DataFileError
from vae.data.opening import names, open_data
from vae.data.subset import subset

__all__ = ["DataFileError", "DataSet", "correlated", "names", "open_data", "subset"]
