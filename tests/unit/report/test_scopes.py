import pytest

from attnreplace.report.scopes import Scope, scopes_of


def test_scope_of_sites() -> None:
    sites = ["decoder.cross.1", "encoder.self.0", "encoder.self.1"]
    assert Scope.of(sites).groups == ("encoder", "cross")
    assert Scope.of([]).groups == ()
    assert Scope.of(["vision.self.0", "encoder.self.0"]).groups == ("encoder", "vision.self")


@pytest.mark.parametrize(
    ("groups", "title", "word", "suffix"),
    [
        (("encoder",), "Encoder self-attention", "encoder", ""),
        (("decoder",), "Decoder self-attention", "decoder", "_decoder"),
        (("cross",), "Cross-attention", "cross", "_cross"),
        (("encoder", "decoder"), "All self-attention", "encoder + decoder", "_encoder_decoder"),
        (("encoder", "decoder", "cross"), "All attention", "all", "_all"),
    ],
)
def test_names(groups: tuple[str, ...], title: str, word: str, suffix: str) -> None:
    scope = Scope(groups)
    assert (scope.title, scope.word, scope.suffix) == (title, word, suffix)
    assert scope.decodes == (groups != ("encoder",))


def test_single_groups_come_before_combinations() -> None:
    groups = [("encoder", "decoder", "cross"), (), ("cross",), ("encoder", "cross"), ("encoder",)]
    ordered = scopes_of(Scope(one) for one in groups * 2)
    assert [scope.word for scope in ordered] == ["encoder", "cross", "encoder + cross", "all"]
