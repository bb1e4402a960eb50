"""Pictures of what students and mixers have learnt, made from a run's model and students.

`make_pictures` computes them, which takes the model, the students and the corpus, and keeps them in
the run as numbers; `load_charts` draws what is kept. So a report is as quick with them as without,
and one made of records alone has them too.
"""

from attnreplace.report.canvas import Chart
from attnreplace.report.pictures.current import current_digests
from attnreplace.report.pictures.draw import chart
from attnreplace.report.pictures.picture import FILE, load_pictures
from attnreplace.rundir import RunDir


def load_charts(run: RunDir) -> list[Chart]:
    """The pictures that are kept, less those of students that were replaced since.

    A run without any students or model, which is one of records, has them all.
    """
    _, pictures = load_pictures(run.path / FILE)
    now = current_digests(run)
    if now:
        pictures = [p for p in pictures if all(now.get(name) == d for name, d in p.of.items())]
    return [chart(picture) for picture in pictures]
