"""The type of the matrix products in training."""

import torch


def resolved_precision(precision: str, device: torch.device) -> str:
    """Whether "fp32" or "bf16" is meant; "auto" is bf16 on a GPU."""
    if precision != "auto":
        return precision
    return "bf16" if device.type == "cuda" else "fp32"
