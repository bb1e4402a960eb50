"""Splicing: students into a model, on disk as bundles, and whole spliced models to folders."""

from attnreplace.splice.positions import source_positions, target_positions

__all__ = ["source_positions", "target_positions"]
