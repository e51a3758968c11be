"""Disentanglement metrics by the literature's definitions: codes and factors in, numbers out."""
