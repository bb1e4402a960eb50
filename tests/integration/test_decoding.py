"""What `generate` does with a cache works on spliced models as on the teacher.

Models are tiny and in float64, with large weights; students are untrained. `test_invariants` asks
the same of every host, method and group of sites; here it is the ways to decode that vary.
"""

import copy
import functools

import pytest
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForSeq2SeqLM, DynamicCache, PreTrainedModel
from transformers.cache_utils import EncoderDecoderCache, StaticCache

from attnreplace.digest import model_digest
from attnreplace.errors import SequenceTooLong, UserError
from attnreplace.hosts import Site, host_for
from attnreplace.methods import METHODS
from attnreplace.splice.bundle import BundleConfig, build_students
from attnreplace.splice.removed import remove_attention
from attnreplace.splice.splice import splice
from attnreplace.students import student_config

POSITIONS = 12
PAD, EOS, VOCABULARY = 1, 2, 40
SYSTEMS = {
    "decoder layer 0": {"alr": ["decoder.self.0"]},
    "decoder layer 1": {"alrr": ["decoder.self.1"]},
    "cross layer 0": {"aslr": ["decoder.cross.0"]},
    "left over": {"alr": ["encoder.self.1", "decoder.self.1", "decoder.cross.0"]},
    "all": {
        "elr": ["encoder.self.0"],
        "alrr": ["encoder.self.1", "decoder.self.0", "decoder.cross.1"],
        "aslr": ["decoder.self.1", "decoder.cross.0"],
    },
    "layer 0 removed": {"alr": ["decoder.self.1"], "removed": ["decoder.self.0"]},
}

every_host = pytest.mark.parametrize("model_type", ["m2m_100", "marian"])
every_system = pytest.mark.parametrize("system", SYSTEMS)


@functools.cache
def teacher(model_type: str) -> PreTrainedModel:
    config = AutoConfig.for_model(
        model_type,
        vocab_size=VOCABULARY,
        d_model=16,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        max_position_embeddings=32,
        pad_token_id=PAD,
        bos_token_id=0,
        eos_token_id=EOS,
        decoder_start_token_id=EOS,
        forced_eos_token_id=None,
    )
    model = AutoModelForSeq2SeqLM.from_config(config).eval().double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in filter(lambda parameter: parameter.requires_grad, model.parameters()):
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
    # M2M-100 counts no position for padding: a sentence with padding inside has other positions
    # with a cache and without, teacher or not.
    model.generation_config.suppress_tokens = [PAD]
    return model


@functools.cache
def spliced(model_type: str, system: str, form: str = "per-query") -> PreTrainedModel:
    model = copy.deepcopy(teacher(model_type))
    host, digest = host_for(model), model_digest(model)
    for method, sites in SYSTEMS[system].items():
        if method == "removed":
            for site in sites:
                remove_attention(host.locate(model, Site.parse(site)))
            continue
        students = {
            site: student_config(
                METHODS[method],
                "m",
                host.locate(model, Site.parse(site)),
                POSITIONS,
                cross_form=form,
            )
            for site in sites
        }
        config = BundleConfig(
            method, method, "shallow_ff", "m", POSITIONS, students, digest, "none"
        )
        splice(model, config, build_students(config, seed=1))
    return model


def batch(side: str = "right", rows: Tensor | None = None) -> dict[str, Tensor]:
    """Three sources of several lengths, or these rows of them."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.full((3, 7), PAD)
    for row, length in enumerate([7, 3, 5]):
        start = 0 if side == "right" else 7 - length
        ids[row, start : start + length] = torch.randint(3, 40, (length,), generator=generator)
    ids = ids if rows is None else ids[rows]
    return {"input_ids": ids, "attention_mask": (ids != PAD).long()}


def targets(length: int = 9) -> Tensor:
    """Decoder inputs, `(3, length)`."""
    return torch.randint(3, VOCABULARY, (3, length), generator=torch.Generator().manual_seed(2))


@torch.no_grad()
def steps(
    model: PreTrainedModel,
    ids: Tensor,
    sizes: list[int],
    cache: EncoderDecoderCache | None = None,
    rows: Tensor | None = None,
) -> tuple[Tensor, EncoderDecoderCache]:
    """Logits of decoder inputs given in pieces of these sizes, and the cache after the last."""
    found = []
    for piece in ids.split(sizes, dim=1):
        output = model(
            **batch(rows=rows), decoder_input_ids=piece, past_key_values=cache, use_cache=True
        )
        cache = output.past_key_values
        found.append(output.logits)
    return torch.cat(found, dim=1), cache


@torch.no_grad()
def whole(model: PreTrainedModel, ids: Tensor, rows: Tensor | None = None) -> Tensor:
    """Logits from one pass without a cache."""
    return model(**batch(rows=rows), decoder_input_ids=ids, use_cache=False).logits


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=0)


@every_host
@every_system
@pytest.mark.parametrize("sizes", [[1] * 9, [9], [4, 1, 3, 1]], ids=["ones", "once", "pieces"])
def test_pieces_give_the_logits_of_the_whole(
    model_type: str, system: str, sizes: list[int]
) -> None:
    model = spliced(model_type, system)
    close(steps(model, targets(), sizes)[0], whole(model, targets()))


@every_host
@every_system
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_beams": 5},
        {"num_beams": 5, "num_return_sequences": 3, "early_stopping": True},
        {"do_sample": True, "num_return_sequences": 2, "top_k": 0},
        {"do_sample": True, "num_beams": 3},
        {"repetition_penalty": 1.5, "min_new_tokens": 4},
    ],
    ids=["greedy", "beam", "several", "sampling", "beam sampling", "penalty"],
)
@pytest.mark.parametrize("side", ["right", "left"])
def test_cached_generation_equals_uncached(
    model_type: str, system: str, options: dict[str, object], side: str
) -> None:
    model = spliced(model_type, system)
    found = []
    for cache in (True, False):
        torch.manual_seed(3)
        found.append(
            model.generate(
                **batch(side), use_cache=cache, max_new_tokens=8, pad_token_id=PAD, **options
            )
        )
    assert found[0].shape[1] > 3
    assert torch.equal(*found)


@every_host
def test_steps_of_generate_have_the_logits_of_the_whole(model_type: str) -> None:
    model = spliced(model_type, "all")
    output = model.generate(
        **batch(),
        max_new_tokens=8,
        min_new_tokens=8,
        do_sample=False,
        output_logits=True,
        return_dict_in_generate=True,
    )
    found, expected = torch.stack(output.logits, dim=1), whole(model, output.sequences[:, :-1])
    torch.testing.assert_close(found, expected.float(), atol=1e-5, rtol=0)


@every_host
@every_system
@pytest.mark.parametrize("change", ["reorder", "select", "repeat"])
def test_rows_of_a_cache_move_together(model_type: str, system: str, change: str) -> None:
    model, ids = spliced(model_type, system), targets()
    _, cache = steps(model, ids[:, :4], [4])
    if change == "repeat":
        rows = torch.tensor([0, 0, 1, 1, 2, 2])
        cache.batch_repeat_interleave(2)
    elif change == "select":
        rows = torch.tensor([2, 0])
        cache.batch_select_indices(rows)
    else:
        rows = torch.tensor([2, 0, 0])
        cache.reorder_cache(rows)
    found, _ = steps(model, ids[rows, 4:], [2, 3], cache, rows)
    close(found, whole(model, ids[rows], rows)[:, 4:])


@every_host
def test_a_cache_that_was_reset_starts_anew(model_type: str) -> None:
    """Where no attention is left; some versions keep zeros of the past of theirs."""
    model, ids = spliced(model_type, "all"), targets()
    _, cache = steps(model, ids[:, :4], [4])
    cache.reset()
    rows = torch.tensor([1, 2])
    found, _ = steps(model, ids[rows], [4, 5], cache, rows)
    close(found, whole(model, ids[rows], rows))


@every_system
def test_a_cache_that_grows_its_layers(system: str) -> None:
    model, ids = spliced("m2m_100", system), targets()
    cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
    found, cache = steps(model, ids[:, :4], [3, 1], cache)
    # Wrapped anew, what is read of the memory is seen to be there.
    cache = EncoderDecoderCache(cache.self_attention_cache, cache.cross_attention_cache)
    assert all(cache.is_updated.values())
    found = torch.cat([found, steps(model, ids[:, 4:], [5], cache)[0]], dim=1)
    close(found, whole(model, ids))


def test_what_a_state_takes_does_not_grow() -> None:
    model, ids = spliced("m2m_100", "all"), targets()

    def values(length: int) -> list[int]:
        _, cache = steps(model, ids[:, :length], [length])
        layers = cache.self_attention_cache.layers + cache.cross_attention_cache.layers
        return [sum(tensor.numel() for tensor in layer.state) for layer in layers]

    assert values(1) == values(9)


def test_targets_padded_on_the_left() -> None:
    """Read without a cache (M2M-100 counts its positions from the first token), else refused."""
    ids = torch.cat([torch.full((3, 2), PAD), targets(5)], dim=1)
    for system in SYSTEMS:
        model = spliced("m2m_100", system)
        options = {"decoder_input_ids": ids, "decoder_attention_mask": (ids != PAD).long()}
        with torch.no_grad():
            found = model(**batch(), **options, use_cache=False).logits[:, 2:]
        close(found, whole(model, targets(5)))
        if any(site.startswith("decoder.self") for site in sites_of(system)):
            with pytest.raises(UserError, match=r"after padding.*use_cache=False"):
                model(**batch(), **options, use_cache=True)


def sites_of(system: str) -> list[str]:
    """The sites where there are students."""
    return [s for method, sites in SYSTEMS[system].items() if method != "removed" for s in sites]


def test_going_on_from_padded_targets_is_refused() -> None:
    model, ids = spliced("m2m_100", "decoder layer 1"), targets(4)
    ids[1, 2:] = PAD
    mask = (ids != PAD).long()
    with torch.no_grad():
        output = model(**batch(), decoder_input_ids=ids, decoder_attention_mask=mask)
        close(output.logits[0], whole(model, ids)[0])
    with pytest.raises(UserError, match=r"after padding.*use_cache=False"):
        steps(model, targets(1), [1], output.past_key_values)


def test_a_target_longer_than_the_students() -> None:
    model = spliced("marian", "decoder layer 0")
    _, cache = steps(model, targets(12), [11, 1])
    with pytest.raises(SequenceTooLong, match="13 tokens is too long"):
        steps(model, targets(1), [1], cache)
    with pytest.raises(SequenceTooLong, match="13 tokens is too long"):
        whole(model, targets(13))


@pytest.mark.parametrize("system", ["decoder layer 0", "decoder layer 1", "cross layer 0"])
def test_static_cache_is_refused(system: str) -> None:
    model = spliced("m2m_100", system)
    caches = [StaticCache(config=model.config, max_cache_len=length) for length in (9, 7)]
    with pytest.raises(UserError, match="a cache that grows"):
        steps(model, targets(), [9], EncoderDecoderCache(*caches))


@pytest.mark.parametrize("system", ["decoder layer 1", "cross layer 0"])
def test_the_cache_of_another_model_is_refused(system: str) -> None:
    model, other = spliced("m2m_100", system), teacher("m2m_100")
    _, own = steps(model, targets(1), [1])
    _, others = steps(other, targets(1), [1])
    if system == "cross layer 0":
        others.is_updated[0] = False
    else:
        with pytest.raises(UserError, match="in which the layer is replaced"):
            steps(other, targets(1), [1], own)
    with pytest.raises(UserError, match="in which the layer is not replaced"):
        steps(model, targets(1), [1], others)


def test_cropping_is_refused() -> None:
    model, ids = spliced("m2m_100", "all"), targets()
    _, cache = steps(model, ids[:, :4], [4])
    cache.crop(0)
    with pytest.raises(UserError, match="does not take tokens back"):
        cache.crop(-1)
    assert not cache.is_croppable
    cache.crop(-4)
    close(steps(model, ids, [9], cache)[0], whole(model, ids))


@every_host
@pytest.mark.parametrize("system", ["cross layer 0", "all"])
@pytest.mark.parametrize("beams", [1, 3])
def test_the_papers_form_decodes_without_a_cache(model_type: str, system: str, beams: int) -> None:
    model = spliced(model_type, system, "paper")
    options = {"max_new_tokens": 8, "min_new_tokens": 8, "num_beams": beams, "do_sample": False}
    found = model.generate(**batch(), **options)
    if model_type == "m2m_100":  # Marian numbers positions from the first column
        assert torch.equal(found, model.generate(**batch("left"), **options))
    if beams == 1:
        last = whole(model, found[:, :-1])[:, -1]
        last[:, [PAD, model.config.eos_token_id]] = -torch.inf  # as `generate` was told
        assert torch.equal(last.argmax(-1), found[:, -1])
    with pytest.raises(UserError, match=r"cannot go on from a cache; set use_cache=False"):
        model.generate(**batch(), **options, use_cache=True)
    # A whole target at once is read with an empty cache as without one.
    close(steps(model, targets(), [9])[0], whole(model, targets()))
