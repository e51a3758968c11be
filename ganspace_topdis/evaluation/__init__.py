"""How good directions are: recovery of known axes, re-scoring by a factor network, and scores without truth.

Everything takes callables and arrays: a `generate` function from codes to images, directions, and where
truth is known a factor network. Nothing here knows a particular generator.
"""
