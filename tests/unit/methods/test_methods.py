"""What each method cuts and puts in, on one pre-LN and one post-LN model."""

import copy

import pytest
import torch
from transformers import BartConfig, BartModel, M2M100Config, M2M100Model

from attnreplace.errors import UserError
from attnreplace.hosts import GROUPS, Location, Site, host_for
from attnreplace.methods import METHODS, get_method
from attnreplace.students import build_student, student_config

D, HEADS, POSITIONS = 8, 2, 6
HOSTS = {"pre": (M2M100Config, M2M100Model), "post": (BartConfig, BartModel)}


@pytest.fixture(params=HOSTS)
def location(request: pytest.FixtureRequest) -> Location:
    torch.manual_seed(0)
    config_class, model_class = HOSTS[request.param]
    config = config_class(
        vocab_size=20,
        d_model=D,
        encoder_layers=2,
        decoder_layers=1,
        encoder_attention_heads=HEADS,
        decoder_attention_heads=HEADS,
        encoder_ffn_dim=8,
        decoder_ffn_dim=8,
        max_position_embeddings=16,
        pad_token_id=1,
    )
    model = model_class(config).eval()
    return host_for(model).locate(model, Site("encoder", "self", 1))


def spliced(name: str, location: Location) -> torch.nn.Module:
    """A student of `name` in place."""
    method = get_method(name)
    student = build_student(student_config(method, "m", location, POSITIONS))
    method.splice(location, student)
    return student


def test_cuts(location: Location) -> None:
    """Input and target of the specification's table."""
    x, heads, output = (torch.randn(5, D) for _ in range(3))
    tensors = {"hidden_states": x, "heads": heads, "layer_output": output}
    normed = location.norm(x) if location.norm_first else x
    expected = {
        "alr": (normed, heads),
        "aslr": (normed, heads),
        "alrr": (x, x + location.out_proj(heads)),
        "elr": (x, output),
    }
    for name, want in expected.items():
        method = METHODS[name]
        given = {role: tensors[role] for role in method.roles}
        for got, value in zip(method.cut(location, given), want, strict=True):
            assert torch.equal(got, value)


@pytest.mark.parametrize("name", METHODS)
def test_state_dict_names(name: str, location: Location) -> None:
    before = set(location.layers.state_dict())
    spliced(name, location)
    after = set(location.layers.state_dict())
    student = "1.student." if name == "elr" else "1.self_attn.student."
    assert f"{student}weight_in" in after
    kept = {key for key in after if not key.startswith(student)}
    projections = {f"1.self_attn.{p}_proj." for p in "qkv"}
    if name == "alrr":
        projections |= {"1.self_attn.out_proj."}
        projections |= {"1.self_attn_layer_norm."} if location.norm_first else set()
    if name == "elr":
        projections = {"1."}
    assert kept == {key for key in before if not key.startswith(tuple(projections))}


@pytest.mark.parametrize("name", METHODS)
def test_what_the_layer_computes(name: str, location: Location) -> None:
    """With a student in place, from the student's own output and the modules that stay."""
    original = copy.deepcopy(location.layer)
    student = spliced(name, location)
    x = torch.randn(2, 4, D)
    mask = torch.tensor([[True] * 4, [True] * 3 + [False]])
    with torch.no_grad():
        got = location.layer(x, mask[:, None, None].expand(-1, 1, 4, -1))
        if name == "elr":
            want = student(x, mask)
        else:
            if name == "alrr":
                hidden = student(x, mask)
            else:
                read = original.self_attn_layer_norm(x) if location.norm_first else x
                hidden = x + original.self_attn.out_proj(student(read, mask))
            if location.norm_first:
                normed = original.final_layer_norm(hidden)
            else:
                normed = hidden = original.self_attn_layer_norm(hidden)
            want = hidden + original.fc2(original.activation_fn(original.fc1(normed)))
            if not location.norm_first:
                want = original.final_layer_norm(want)
    torch.testing.assert_close(got, want)


def test_students_of_a_method(location: Location) -> None:
    whole = student_config(METHODS["alr"], "m", location, POSITIONS)
    assert (whole.groups, whole.hidden, whole.d_out) == (1, POSITIONS * D // 8, D)
    heads = student_config(METHODS["aslr"], "l", location, POSITIONS)
    assert (heads.groups, heads.hidden, heads.d_out) == (HEADS, POSITIONS * D // 4, D)


@pytest.mark.parametrize("kind", ["self", "cross"])
def test_layers_of_the_decoder_are_not_replaced_whole(kind: str) -> None:
    layers = torch.nn.ModuleList([torch.nn.Identity()])
    location = Location(Site("decoder", kind, 0), layers, "a", "n", "o", True, HEADS, D)
    message = f"elr works on the encoder's self-attention only, not on decoder.{kind}.0"
    with pytest.raises(UserError, match=message):
        METHODS["elr"].splice(location, torch.nn.Identity())
    assert METHODS["elr"].groups == ("encoder",)
    assert METHODS["aslr"].groups == GROUPS


def test_names() -> None:
    assert list(METHODS) == ["alr", "aslr", "alrr", "elr"]
    assert get_method("alsr") is METHODS["aslr"]
    with pytest.raises(UserError, match="no method 'arl'; valid methods: alr, aslr, alrr, elr"):
        get_method("arl")
