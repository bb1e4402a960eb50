"""Knowledge distillation for attention replacement."""

__version__ = "0.1.0"
