import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import datasets
import pytest

from attnreplace.data.corpus import Pairs
from attnreplace.data.hub import split_readers
from attnreplace.data.iwslt2017 import archive_file
from attnreplace.errors import UserError

PROGRAM = """
import json, sys, time
from attnreplace.data.hub import download, find_dataset_sets
from attnreplace.errors import UserError
answers = []
for kind, *args in json.loads(sys.argv[1]):
    start = time.monotonic()
    try:
        if kind == "file":
            answer = download(*args).read_text()
        else:
            answer = sorted(find_dataset_sets(*args))
    except UserError as error:
        answer = str(error)
    answers.append([answer, time.monotonic() - start])
print(json.dumps(answers))
"""
NOBODY = "http://127.0.0.1:9"
REPO = "IWSLT/iwslt2017"
FILE = archive_file("de-en")


def ask(home: Path, requests: list[list[str]], **environment: str) -> list[tuple[str, float]]:
    """What a fresh process gets from the Hub, and the seconds each request took.

    A fresh one, because the Hub's library reads its settings once, on import.
    """
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "TRANSFORMERS_"))}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(requests)],
        env={**clean, "HF_HOME": str(home), "NO_PROXY": "127.0.0.1", **environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    return json.loads(done.stdout)


@contextmanager
def hub(repo: str, files: dict[str, bytes]):
    """A server that answers for one dataset repository as the Hub does."""
    commit = "0" * 40
    siblings = [{"rfilename": file} for file in files]
    info = json.dumps({"id": repo, "sha": commit, "siblings": siblings}).encode()
    tree = [{"type": "file", "path": f, "size": len(x), "oid": commit} for f, x in files.items()]
    answers = {
        f"/api/datasets/{repo}": info,
        f"/api/datasets/{repo}/revision/{commit}": info,
        f"/api/datasets/{repo}/tree/{commit}": json.dumps(tree).encode(),
    }
    for file, body in files.items():
        answers[f"/datasets/{repo}/resolve/main/{file}"] = body
        answers[f"/datasets/{repo}/resolve/{commit}/{file}"] = body

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            answer = answers.get(self.path.split("?")[0])
            self.send_response(404 if answer is None else 200)
            if answer is None:
                self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", str(len(answer or b"")))
            self.send_header("ETag", f'"{hashlib.sha256(answer or b"").hexdigest()}"')
            self.send_header("X-Repo-Commit", commit)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(answer or b"")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def check_offline_answers(file: str, dataset: str) -> None:
    assert f"cannot fetch {FILE} of the dataset repository owner/absent from" in file
    assert f"download https://huggingface.co/datasets/owner/absent/resolve/main/{FILE} " in file
    assert 'cannot load the dataset "owner/absent:de-en"' in dataset
    assert "download https://huggingface.co/datasets/owner/absent where" in dataset
    for message in (file, dataset):
        assert "--data-dir" in message
        assert "\n" not in message


ABSENT = [["file", "owner/absent", FILE], ["dataset", "owner/absent:de-en", "de-en"]]


def test_without_a_network_one_line_says_what_to_download(tmp_path):
    (file, seconds), (dataset, more_seconds) = ask(tmp_path, ABSENT, HF_ENDPOINT=NOBODY)
    check_offline_answers(file, dataset)
    # The Hub's own retries would take 23 seconds each.
    assert seconds < 10
    assert more_seconds < 10


def test_fetched_once_and_then_cached(tmp_path):
    rows = b'{"translation": {"de": "a", "en": "b"}}\n'
    files = {FILE: b"an archive", "train.jsonl": rows, "test.jsonl": rows}
    present = [["file", REPO, FILE], ["dataset", REPO, "de-en"]]
    wrong = [["file", REPO, "other.zip"], ["dataset", f"{REPO}:other", "de-en"]]
    with hub(REPO, files) as endpoint:
        answers = [answer for answer, _ in ask(tmp_path, present + wrong, HF_ENDPOINT=endpoint)]
    assert answers[:2] == ["an archive", ["test", "train"]]
    assert "cannot fetch other.zip" in answers[2]
    assert "(BuilderConfig 'other' not found. Available: ['default'])" in answers[3]
    answers = [answer for answer, _ in ask(tmp_path, present + ABSENT, HF_HUB_OFFLINE="1")]
    assert answers[:2] == ["an archive", ["test", "train"]]
    check_offline_answers(*answers[2:])


def test_splits_of_a_dataset():
    rows = [{"translation": {"de": "eins", "en": "one"}}, {"translation": {"de": "", "en": "two"}}]
    features = datasets.Features({"translation": datasets.Translation(languages=["de", "en"])})
    loaded = datasets.DatasetDict(
        train=datasets.Dataset.from_list(rows, features=features),
        test=datasets.Dataset.from_dict({"en": ["three"], "de": ["drei"]}),
        other=datasets.Dataset.from_dict({"text": ["vier"]}),
    )
    sets = split_readers(loaded, "en-de", "owner/name")
    assert sets["train"]() == Pairs(["one", "two"], ["eins", ""])
    assert sets["test"]() == Pairs(["three"], ["drei"])
    with pytest.raises(UserError, match='dataset "owner/name", split "other" lacks en and de'):
        sets["other"]()


def test_rows_picked_by_index_keep_their_order():
    rows = datasets.Dataset.from_dict({"en": ["a", "b", "c"], "de": ["x", "y", "z"]})
    sets = split_readers(datasets.DatasetDict(train=rows.select([2, 0])), "en-de", "owner/name")
    assert sets["train"]() == Pairs(["c", "a"], ["z", "x"])
