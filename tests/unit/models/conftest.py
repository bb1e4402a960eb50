import importlib.abc
import importlib.machinery
import importlib.util
import sys
import types

import pytest


@pytest.fixture(scope="session")
def timm_mixers():
    """timm's file of MLP models, the reference of some tests; they are skipped without timm.

    timm insists on torchvision, which these models make no use of: where it is missing, empty
    classes stand in for it while timm is imported.
    """
    if importlib.util.find_spec("torchvision") is not None:
        return pytest.importorskip("timm.models.mlp_mixer", reason="timm is not installed")
    finder = _EmptyTorchvision()
    sys.meta_path.insert(0, finder)
    try:
        return pytest.importorskip("timm.models.mlp_mixer", reason="timm is not installed")
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]


class _Anything(type):
    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _Anything(name, (), {})


class _EmptyModule(types.ModuleType):
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _Anything(name, (), {})


class _EmptyTorchvision(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torchvision":
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        return _EmptyModule(spec.name)

    def exec_module(self, module):
        pass
