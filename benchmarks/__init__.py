"""Speed and memory, each figure a ratio against a plain baseline measured in the same run."""
