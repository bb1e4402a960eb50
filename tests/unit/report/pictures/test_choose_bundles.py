from typing import Any

import pytest

from attnreplace.report.pictures.choose import bundle_label, choose_bundles, spread
from attnreplace.splice.bundle import BundleConfig
from attnreplace.students import StudentConfig


def bundle(
    name: str,
    method: str = "alr",
    family: str = "shallow_ff",
    site: str = "encoder.self.0",
    error: float = 0.5,
    **shape: Any,
) -> BundleConfig:
    student = StudentConfig(family, 8, 8, positions=4, hidden=4, **shape)
    return BundleConfig(
        name,
        method,
        family,
        "m",
        4,
        {site: student},
        "",
        "",
        training={"relative_mse": {site: error}},
    )


def test_the_best_of_every_family() -> None:
    found = choose_bundles(
        [
            bundle("worse", error=0.9),
            bundle("better", error=0.1),
            bundle("dense", family="sgu", spatial="dense"),
            bundle("gate", family="sgu"),
            bundle("cross", family="sgu", site="decoder.cross.0", form="per-query"),
        ]
    )
    names = {group: [config.name for config in members] for group, members in found.items()}
    assert names == {"encoder": ["better", "gate", "dense"], "cross": ["cross"]}


def test_all_of_the_method_with_most_families() -> None:
    configs = [bundle("a", "alr"), bundle("b", "alrr"), bundle("c", "alrr", "sgu")]
    assert [c.name for c in choose_bundles(configs)["encoder"]] == ["b", "c"]
    assert [c.name for c in choose_bundles(configs[:2])["encoder"]] == ["a"]
    assert choose_bundles([]) == {}


def test_labels() -> None:
    assert bundle_label(bundle("x")) == "ALR-M"
    assert bundle_label(bundle("x", family="amlp", spatial="dense")) == "ALR-M aMLP, dense"


@pytest.mark.parametrize(
    ("count", "expected"), [(2, [0, 9]), (3, [0, 4, 9]), (4, [0, 3, 6, 9]), (20, list(range(10)))]
)
def test_spread(count: int, expected: list[int]) -> None:
    assert spread(range(10), count) == expected
