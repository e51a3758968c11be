"""Evaluation of directions: recovery of known directions, rescoring by a factor network, and unsupervised scores.

All functions take callables and arrays: a function from codes to images, directions, and a factor network where the
factors are known. They are independent of the generator.
"""
