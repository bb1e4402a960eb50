import re
from pathlib import Path

from PIL import Image

from attnreplace.report.overview.choice import headline_of
from attnreplace.report.overview.experiments import load_experiments
from attnreplace.report.overview.picture import WIDTH, headline_chart


def test_the_figure_names_kinds_and_numbers(published: Path, tmp_path: Path) -> None:
    headline = headline_of(load_experiments(published))
    assert headline is not None
    chart = headline_chart(headline)
    assert chart is not None
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", chart.svg(WIDTH))
    assert {"Cross-attention", "All attention", "removed", "static, non-causal", "gated"} <= {
        *texts
    }
    assert {"\u221238.0", "\u22124.0", "+0.3", "tuned as a whole", "from scratch"} <= {*texts}
    assert (
        "All attention: static \u221221.0 (each layer alone), static \u22124.0 (tuned as a whole)"
        in chart.alt
    )
    assert "Multi30k (test_2016_flickr, beam 1)" in chart.caption
    assert "dots are 4 experiments" in chart.caption
    chart.save_png(tmp_path / "results.png")
    with Image.open(tmp_path / "results.png") as image:
        assert image.width == 2 * WIDTH
        assert image.info["Description"] == chart.alt
