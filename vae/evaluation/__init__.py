"""The evaluation of a trained network: codes of the grid, every metric, pictures and a page."""
