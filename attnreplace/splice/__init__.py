"""Splicing: students into a model, on disk as bundles, and whole spliced models to folders."""
