"""BERT and its like: post-LN encoders of text."""

from torch import nn

from attnreplace.hosts.encoder import EncoderOnly, Layout

BERT = Layout(
    layers="encoder.layer",
    attention="attention.self",
    norm="attention.output.LayerNorm",
    out_proj="attention.output.dense",
    norm_first=False,
)
"""The out-projection stands behind the attention, in one module with the residual and the norm."""

DISTILBERT = Layout(
    layers="transformer.layer",
    attention="attention",
    norm="sa_layer_norm",
    out_proj="attention.out_lin",
    norm_first=False,
)


class Bert(EncoderOnly):
    """BERT, which MiniLM is, and what differs from it in vocabulary and training; DistilBERT."""

    layouts = {  # noqa: RUF012
        "bert": BERT,
        "roberta": BERT,
        "xlm-roberta": BERT,
        "camembert": BERT,
        "data2vec-text": BERT,
        "electra": BERT,
        "ernie": BERT,
        "distilbert": DISTILBERT,
    }

    def rows(self, table: nn.Embedding) -> int:
        """All of them; RoBERTa and those after it number tokens from behind the padding's row."""
        padding = table.padding_idx
        return table.num_embeddings - (0 if padding is None else padding + 1)
