"""Suites: a grid of trainings and evaluations, run anywhere, with its statistics and report."""
