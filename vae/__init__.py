"""Disentanglement VAEs, with and without TopDis: data, networks, methods, training, evaluation, suites."""
