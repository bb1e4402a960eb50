"""Which corpus, and how much of it."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from attnreplace.errors import UserError

GRAMMAR = "grammar"
IWSLT2017 = "iwslt2017"
DIGITS = "digits"

EMBEDDED: dict[str, str | None] = {
    "translation": GRAMMAR,
    "mlm": GRAMMAR,
    "classification": None,
    "image": DIGITS,
}
"""The tasks, and the data that each has without a download."""
_BUILT_IN = {
    GRAMMAR: ("translation", "mlm"),
    IWSLT2017: ("translation",),
    DIGITS: ("image",),
}
_PACKING = re.compile(r"\.(zip|tar|tgz|tar\.(gz|xz|bz2)|(\w+\.)?(gz|xz)|txt|tsv|jsonl|parquet)$")


@dataclass(frozen=True)
class DataConfig:
    """Which corpus to load, and how much of it."""

    task: str = "translation"
    """What is learnt: translation, mlm (masked tokens), classification (of texts) or image
    (classification of images)."""
    dataset: str = ""
    """"grammar" (generated: translation, mlm), "iwslt2017", "digits" (images), or a `datasets`
    id, with its config as "id:config". Empty: the task's embedded data."""
    data_dir: str | None = None
    """A folder or an archive of files to read instead of generating or fetching."""
    pair: str = "de-en"
    """Source and target language; of these the grammar's text for mlm is the source's."""
    test_sets: list[str] = field(default_factory=list)
    """Test sets by name, "tst2010+tst2011" being two joined. Empty: all but those whose names
    begin with train, val or dev; for iwslt2017 tst2010 to tst2015."""
    train_size: int | None = None
    """Pairs, lines or images to train on, the first ones (None: all; the grammar makes 20,000).
    With 0 no training set is needed."""
    validation_size: int | None = None
    """Those to validate on, the first ones (None: all; the grammar makes 300)."""
    seed: int = 0
    """Seed of the grammar's sentences, and of the order of what has classes."""

    def __post_init__(self) -> None:
        if self.task not in EMBEDDED:
            raise UserError(f"unknown task {self.task!r}; valid: {', '.join(EMBEDDED)}")
        if not re.fullmatch(r"([a-z]{2,3})-(?!\1$)[a-z]{2,3}", self.pair):
            raise UserError(
                f'pair "{self.pair}" should be the codes of two languages, source-target, as in '
                '"de-en"'
            )
        if not re.fullmatch(r"([\w.-]+(/[\w.-]+)?(:[^:]+)?)?", self.dataset):
            raise UserError(
                f'dataset "{self.dataset}" should be "grammar", "iwslt2017", "digits" or a '
                '`datasets` id, as in "owner/name" or "owner/name:config"; a folder goes into '
                "data_dir"
            )
        tasks = _BUILT_IN.get(self.dataset)
        if self.data_dir is None and tasks is not None and self.task not in tasks:
            raise UserError(
                f'dataset "{self.dataset}" is for the task {" or ".join(tasks)}, not '
                f"{self.task}; see `attnreplace data list`"
            )
        for name, least in (("train_size", 0), ("validation_size", 1)):
            size = getattr(self, name)
            if size is not None and size < least:
                raise UserError(f"{name} = {size} should be at least {least}")

    @property
    def known_as(self) -> str:
        """Which dataset this is: as given, else by its folder or file, else the embedded one."""
        if self.data_dir is not None and self.dataset in ("", EMBEDDED[self.task]):
            return _PACKING.sub("", Path(self.data_dir).expanduser().resolve().name)
        return self.dataset or EMBEDDED[self.task] or ""

    @property
    def embedded(self) -> bool:
        """Whether the data needs neither a file nor a network."""
        return self.data_dir is None and self.known_as in (GRAMMAR, DIGITS)

    @property
    def where(self) -> str:
        """How a message names the source of the data."""
        if self.data_dir is not None:
            return str(Path(self.data_dir).expanduser())
        return f'dataset "{self.known_as}"'
