"""The plain way of doing what this project does fast: honest baselines, kept short."""
