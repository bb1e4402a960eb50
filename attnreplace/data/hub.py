"""Corpora from the Hugging Face Hub, with one clear line where it cannot be reached."""

from contextlib import suppress
from functools import partial
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from attnreplace.data.corpus import Pairs
from attnreplace.data.reading import Reader
from attnreplace.data.rows import table_pairs
from attnreplace.errors import UserError

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

PROBE_SECONDS = 10.0
REASON_LENGTH = 300


def download(repo: str, file: str) -> Path:
    """A file of a dataset repository, from the local cache or else from the Hub.

    Raises:
        UserError: it cannot be fetched.
    """
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    cached = try_to_load_from_cache(repo, file, repo_type="dataset")
    if isinstance(cached, str):
        return Path(cached)
    try:
        _probe(repo)
        return Path(hf_hub_download(repo, file, repo_type="dataset"))
    # Which classes come up depends on the HTTP library of the installed version.
    except Exception as error:
        raise UserError(
            f"cannot fetch {file} of the dataset repository {repo} from the Hugging Face Hub "
            f"({_reason(error)}); download https://huggingface.co/datasets/{repo}/resolve/main/"
            f"{file} where there is a network and give the file, or its folder, as --data-dir"
        ) from error


def find_dataset_sets(dataset: str, pair: str) -> dict[str, Reader]:
    """Readers of the splits of a `datasets` id with translations, by their names.

    Raises:
        UserError: the dataset cannot be had.
    """
    return split_readers(load_splits(dataset), pair, dataset)


def load_splits(dataset: str) -> "DatasetDict":
    """The splits of a `datasets` id, or "id:config".

    Raises:
        UserError: the dataset cannot be had.
    """
    import datasets

    name, _, config = dataset.partition(":")
    try:
        if not _is_cached(name):
            _probe(name)
        return datasets.load_dataset(name, config or None)
    except Exception as error:
        raise UserError(
            f'cannot load the dataset "{dataset}" from the Hugging Face Hub ({_reason(error)}); '
            'check the name ("grammar", "iwslt2017" and "digits" are built in, "id:config" picks '
            "a config), "
            f"or download https://huggingface.co/datasets/{name} where there is a network (hf "
            f"download {name} --repo-type dataset --local-dir DIR) and give DIR as --data-dir"
        ) from error


def split_readers(splits: "DatasetDict", pair: str, dataset: str) -> dict[str, Reader]:
    """Readers of the splits of a loaded dataset."""
    return {
        str(name): partial(_read_split, split, pair, f'dataset "{dataset}", split "{name}"')
        for name, split in splits.items()
    }


def _read_split(split: "Dataset", pair: str, where: str) -> Pairs:
    table: Any = split.with_format("arrow")[:]
    return table_pairs(table, pair, where)


def _probe(repo: str) -> None:
    """Ask the Hub once, without the retries that make a missing network cost half a minute."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    # An answer that is an error still is an answer: the request proper will say what is wrong.
    with suppress(HfHubHTTPError):
        HfApi().dataset_info(repo, timeout=PROBE_SECONDS)


def _is_cached(name: str) -> bool:
    from datasets import config
    from datasets.naming import camelcase_to_snakecase

    owner, slash, dataset = name.rpartition("/")
    folder = owner + slash.replace("/", "___") + camelcase_to_snakecase(dataset)
    return Path(config.HF_DATASETS_CACHE, folder).is_dir()


def _reason(error: Exception) -> str:
    return shorten(str(error) or type(error).__name__, REASON_LENGTH).rstrip(".:")
