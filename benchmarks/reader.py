"""Reading a store that is larger than the memory it may take: how much it takes, and how fast.

It is read in a process of its own, `python -m benchmarks.reader`: memory is only the reader's.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil

from attnreplace.activations.store import ActivationStore
from benchmarks.material import extracted_run
from benchmarks.measure import Row, in_turn, python

TIMES_LARGER = 4
"""The store, than what reading may take."""
STATUS = Path("/proc/self/status")


def run(
    folder: Path,
    seconds: float = 10.0,
    processes: int = 3,
    pairs: int = 3000,
    batch_tokens: int = 2048,
    preset: str = "paper",
) -> list[Row]:
    """Measure memory, and the time against loading the same bytes whole.

    Args:
        folder: where to work.
        seconds: time for the throughput, about.
        processes: how often memory is measured.
        pairs: training pairs.
        batch_tokens: tokens in a batch.
        preset: the teacher's shape.
    """
    run_dir = extracted_run(folder / f"reader-{preset}-{pairs}", pairs, ["encoder"], preset=preset)
    path = run_dir.activations
    store = ActivationStore.open(path)
    megabytes = max(1, store.nbytes // TIMES_LARGER // 10**6)
    arguments = (str(path), str(megabytes), str(batch_tokens))
    rises = [float(python("benchmarks.reader", *arguments)[1]) for _ in range(processes)]
    arrays = _save_arrays(store, run_dir.path / "arrays")
    limited = ActivationStore.open(path, read_megabytes=megabytes)
    loading, reading = in_turn(
        lambda: [np.load(array) for array in arrays],
        lambda: read(limited, batch_tokens),
        seconds=seconds,
    )
    about = {"store_bytes": store.nbytes, "batch_tokens": batch_tokens}
    return [
        Row(
            benchmark="reading",
            case=f"memory, {megabytes} MB allowed",
            baseline="what it may take",
            ours="peak over the start",
            baseline_values=[float(megabytes * 10**6)] * len(rises),
            our_values=rises,
            unit="B",
            at_most=1.0,
            extra=about,
        ),
        Row(
            benchmark="reading",
            case="time",
            baseline="np.load of the same bytes",
            ours="an epoch of mixed batches, in float32",
            baseline_values=loading,
            our_values=reading,
            extra=about
            | {
                "np_load_mb_per_second": store.nbytes / min(loading) / 1e6,
                "mb_per_second": store.nbytes / min(reading) / 1e6,
            },
        ),
    ]


def read(store: ActivationStore, batch_tokens: int) -> int:
    """Read an epoch of every split in random order; gives the tokens."""
    tokens = 0
    for split in store.splits:
        for batch in store.batches(split, store.names, batch_tokens=batch_tokens, seed=0):
            tokens += len(batch.tensors[store.names[0]])
    return tokens


def rise(call: Callable[[], object]) -> float:
    """Bytes by which a call raises the resident memory of this process, at its highest."""
    before = psutil.Process().memory_info().rss
    if not STATUS.exists():
        raise OSError("the highest resident memory is read from /proc, which is Linux's")
    # 5: forget how high it has been.
    Path("/proc/self/clear_refs").write_text("5")
    call()
    return float(max(0, _highest() - before))


def _highest() -> int:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def _save_arrays(store: ActivationStore, folder: Path) -> list[Path]:
    """The same bytes, an array a tensor and split."""
    import h5py

    folder.mkdir(exist_ok=True)
    paths = []
    with h5py.File(store.path, "r") as file:
        for split in store.splits:
            for name in store.names:
                paths.append(folder / f"{split}.{name}.npy")
                np.save(paths[-1], file[split][name.replace(".", "/")][...])
    return paths


def main() -> None:
    """Print the bytes; the arguments are the store, the megabytes allowed and a batch's tokens."""
    path, megabytes, tokens = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    store = ActivationStore.open(path, read_megabytes=megabytes)
    # What is loaded at a first use is not the reader's.
    next(store.batches("validation", store.names, batch_tokens=tokens, seed=0))
    print(rise(lambda: read(store, tokens)))  # noqa: T201


if __name__ == "__main__":
    main()
