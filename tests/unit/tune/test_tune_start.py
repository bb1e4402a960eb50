"""What tuned models are called that began as tuned models."""

from typing import Any, cast

from attnreplace.tune.config import NAME, TuneConfig
from attnreplace.tune.start import Start


def name_after(start: str, **settings: Any) -> str:
    nothing, config = cast(Any, None), TuneConfig(system=f"tuned/{start}", **settings)
    return Start(nothing, nothing, config, [], before={}).name


def test_names_follow_from_the_start_and_from_what_is_done() -> None:
    assert name_after("alr-m-forced") == "alr-m-forced-then-kl-ce"
    settings = {"losses": ["ce"], "train": "all", "targets": "teacher", "seed": 2}
    assert name_after("first", **settings) == "first-then-ce-all-own-seed2"


def test_however_many_stages_names_are_different_and_fit() -> None:
    names = ["alr-m"]
    for _ in range(30):
        names.append(name_after(names[-1]))
    assert len(set(names)) == 31
    assert max(map(len, names)) <= 133
    assert all(NAME.fullmatch(name) for name in names)
