"""Evaluation of a trained network: codes of the factor grid, every metric, pictures and a page."""
