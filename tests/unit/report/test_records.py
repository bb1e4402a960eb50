from pathlib import Path
from types import SimpleNamespace

import pytest

from attnreplace.errors import UserError
from attnreplace.report.parsing import parse_record, parse_records
from attnreplace.report.records import load_records
from attnreplace.report.scopes import Scope
from attnreplace.report.selection import best, headline_results, of_kind
from attnreplace.rundir import RunDir, write_json


def test_reading_order(made: SimpleNamespace) -> None:
    results = parse_records(reversed(made.records(beams=(5, 1))))
    names = list(dict.fromkeys(result.name for result in results))
    assert names[:3] == ["teacher", "removed", "untrained-alr-m"]
    assert names[6:9] == ["alr-xs", "alr-s", "alr-m"]
    assert names[-6:-4] == ["alrr-xl", "elr-xs"]
    assert [result.beam for result in results[:4]] == [1, 5, 1, 5]


def test_fields_are_found(made: SimpleNamespace) -> None:
    result = parse_record(made.record(), "here")
    assert (result.method, result.size, result.beam) == ("alrr", "m", 5)
    assert result.replaced == 297_216
    assert result.replacement == 6 * 10_261_600
    assert result.latency[64].generate > result.latency[64].encoder > result.latency[1].encoder
    assert result.relative_error == pytest.approx(sum(result.relative_mse.values()) / 6)
    assert result.over_long.count == 7
    assert result.digests["bundle"] == "12" * 32


def test_order_of_what_is_replaced(made: SimpleNamespace) -> None:
    results = parse_records(reversed(made.all_scopes([5])))
    words = dict.fromkeys((result.scope.word, result.kind) for result in results)
    kinds = ("removed", "untrained", "student")
    assert list(words) == [
        ("", "teacher"),
        *((scope, kind) for scope in ("encoder", "decoder", "cross") for kind in kinds),
        ("all", "removed"),
        ("all", "student"),
    ]


def test_fields_of_systems_of_several_bundles(made: SimpleNamespace) -> None:
    result = parse_record(made.scoped("all"), "here")
    assert result.parts == ("alr-m", "alr-m-decoder", "alr-m-cross")
    assert result.scope == Scope(("encoder", "decoder", "cross"))
    assert result.flops == result.encoder_flops + 3.1e6
    assert result.state == {1: 41_000, 64: 2_624_000}
    assert (result.over_long.target_limit, result.over_long.targets) == (50, 3)
    paper = parse_record(made.scoped("cross", variant="non-causal"), "here")
    assert paper.short_label == "ALR-M cross, non-causal"
    amlp = made.scoped("cross")
    amlp["system"]["label"] = "ALR-M aMLP cross, contains attention"
    assert parse_record(amlp, "here").short_label == "ALR-M aMLP cross, contains attention"
    # Early records have none of this.
    early = parse_record(made.record(), "here")
    assert (early.parts, early.variant, early.state, early.flops) == ((), "", {}, None)
    assert early.over_long.targets is None


def test_what_was_not_measured_is_none(made: SimpleNamespace) -> None:
    result = parse_record(made.record(cost=None, relative_mse=None), "here")
    assert result.replacement is None
    assert result.flops is None
    assert result.latency[1].encoder is None
    assert result.relative_error is None


def test_unknown_method_comes_last(made: SimpleNamespace) -> None:
    records = [made.record(method="novel"), made.record(method="elr"), made.record("teacher")]
    assert [r.method for r in parse_records(records)] == ["alrr", "elr", "novel"]


def test_headline_takes_first_test_set_and_beam_5(made: SimpleNamespace) -> None:
    records = [made.record(test_set=name, beam=beam) for name in "ba" for beam in (1, 5, 9)]
    (result,) = headline_results(parse_records(records))
    assert (result.test_set, result.beam) == ("a", 5)
    records = [made.record(beam=beam) for beam in (1, 4)]
    assert [r.beam for r in headline_results(parse_records(records))] == [4]


def test_best(made: SimpleNamespace) -> None:
    results = parse_records(made.records(beams=[5]))
    chosen = best(of_kind(results, "student"))
    assert chosen is not None
    assert chosen.name == "aslr-l"
    assert best([]) is None


def test_broken_records_are_named(tmp_path: Path, made: SimpleNamespace) -> None:
    run = RunDir(tmp_path)
    assert load_records(run.results) == []
    record = made.record()
    write_json(run.results / "good.json", record)
    assert load_records(run.results) == [record]

    del record["scores"]["bleu"]["score"]
    write_json(run.results / "bad.json", record)
    with pytest.raises(UserError, match=r"bad\.json: scores\.bleu\.score is missing"):
        load_records(run.results)

    (run.results / "bad.json").write_text("{", encoding="utf-8")
    with pytest.raises(UserError, match=r"bad\.json is not valid JSON"):
        load_records(run.results)


def test_another_schema_is_refused(made: SimpleNamespace) -> None:
    with pytest.raises(UserError, match=r"here: schema 'other/9' is not"):
        parse_record(made.record(schema="other/9"), "here")
    with pytest.raises(UserError, match="here: no schema in it"):
        parse_record([], "here")
