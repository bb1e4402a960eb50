"""What a record says about the software and machine that made it."""

import platform
from importlib.metadata import version

from attnreplace import __version__

PACKAGES = ("torch", "transformers", "tokenizers", "accelerate", "sacrebleu", "h5py", "numpy")


def versions() -> dict[str, str]:
    """Versions of this program, of Python and of the packages that results depend on."""
    return {
        "attnreplace": __version__,
        "python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
    }
