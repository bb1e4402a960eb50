import torch

from attnreplace.tune.losses import divergence, relative_error


def test_divergence_is_that_of_torchs_distributions():
    generator = torch.Generator().manual_seed(0)
    ours, theirs = torch.randn(2, 2, 3, 5, generator=generator).unbind()
    predicted = torch.tensor([[True, True, False], [True, False, False]])
    for temperature in (1.0, 2.5):
        student, teacher = (
            torch.distributions.Categorical(logits=values[predicted] / temperature)
            for values in (ours, theirs)
        )
        expected = torch.distributions.kl_divergence(teacher, student).sum() * temperature**2
        found = divergence(ours, theirs, predicted, temperature)
        torch.testing.assert_close(found, expected)


def test_divergence_of_a_model_from_itself_is_zero():
    logits = torch.randn(2, 3, 5)
    assert divergence(logits, logits, torch.ones(2, 3, dtype=torch.bool), 1.0) == 0


def test_relative_error_of_the_mean_is_one_and_padding_does_not_count():
    target = torch.randn(2, 4, 3)
    real = torch.tensor([[True] * 4, [True, True, False, False]])
    mean = target[real].mean(0).expand_as(target)
    torch.testing.assert_close(relative_error(mean, target, real), torch.tensor(1.0))
    garbage = target.masked_fill(~real.unsqueeze(-1), 1e6)
    torch.testing.assert_close(relative_error(mean, garbage, real), torch.tensor(1.0))
    assert relative_error(target, target, None) == 0
    assert relative_error(torch.zeros(1, 2, 3), torch.zeros(1, 2, 3), None) == 0
