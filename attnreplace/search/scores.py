"""What is known of a run's students one at a time, kept between searches.

`search/scores.N.json`, on N sentences, is written whenever something was measured, so that a killed
search goes on and another one, of another target, begins with all that is known.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from attnreplace.errors import UserError
from attnreplace.rundir import read_json, write_json
from attnreplace.splice.bundle import BundleConfig

SCHEMA = "attnreplace.search-scores/1"


@dataclass
class StudentScore:
    """One student, alone in the teacher."""

    bundle: str
    site: str
    digest: str
    """Of the bundle."""
    batches: int = 0
    """How many of the batches are in `total`."""
    total: float = 0.0
    """Divergence from the teacher so far, summed over what is predicted, in nats."""
    divergence: float | None = None
    """The mean, when all batches are done; infinite where the model gave no numbers."""
    costs: dict[str, int] = field(default_factory=dict)
    """What it costs more than the attention that it replaces, by `search.config.MINIMISED`:
    parameters, microseconds, bytes."""

    @property
    def usable(self) -> bool:
        """Whether the model with it predicts something."""
        return self.divergence is not None and math.isfinite(self.divergence)

    def finish(self, predictions: int) -> None:
        """Take the mean, after the last batch."""
        mean = self.total / predictions
        # Rounding may leave a divergence of nothing a little below it.
        self.divergence = max(0.0, mean) if math.isfinite(mean) else math.inf


class Scores:
    """The file, of which every student has one entry a site."""

    def __init__(self, path: Path, of: Mapping[str, Any]) -> None:
        """Read what is there, if it is of the same teacher and data.

        Args:
            path: the file.
            of: what decides the divergences besides the students.

        Raises:
            UserError: the file is damaged.
        """
        self.path, self.of = path, dict(of)
        self.students: dict[tuple[str, str], StudentScore] = {}
        """By bundle and site."""
        self.systems: dict[str, float] = {}
        """Validation scores of whole systems, by digest of all that decides them."""
        self.measured_on: dict[str, Any] = {}
        """The machine of the latencies."""
        value = read_json(path, dict) if path.is_file() else {}
        if value.get("schema") != SCHEMA or value.get("of") != self.of:
            return
        try:
            entries = [StudentScore(**entry) for entry in value["students"]]
            self.systems, self.measured_on = value["systems"], value["measured_on"]
        except (KeyError, TypeError) as error:
            raise UserError(f"{path} is damaged ({error}); delete it and search again") from error
        self.students = {(entry.bundle, entry.site): entry for entry in entries}

    def of_bundles(
        self, bundles: Mapping[str, BundleConfig], digests: Mapping[str, str]
    ) -> list[StudentScore]:
        """The entries of these bundles, in their order; anew where there are other students now."""
        found = []
        for name, bundle in bundles.items():
            for site in bundle.sites:
                entry = self.students.get((name, site))
                if entry is None or entry.digest != digests[name]:
                    entry = StudentScore(name, site, digests[name])
                    self.students[name, site] = entry
                found.append(entry)
        return found

    def forget(self, cost: str) -> None:
        """A cost is to be measured anew."""
        for entry in self.students.values():
            entry.costs.pop(cost, None)

    def save(self) -> None:
        """Write the file."""
        value = {
            "schema": SCHEMA,
            "of": self.of,
            "measured_on": self.measured_on,
            "students": [asdict(entry) for entry in self.students.values()],
            "systems": self.systems,
        }
        write_json(self.path, value)
