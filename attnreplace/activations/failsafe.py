"""Write HDF5 files where the disk may fill up."""

import io
import os
from pathlib import Path
from typing import Any

import h5py


class FailsafeFile(io.FileIO):
    """A file that HDF5 writes to and that never fails before HDF5's eyes.

    HDF5 keeps what it could not write, tries again when the file is closed and when the process
    ends, and brings the process down (seen with HDF5 2.0: a segmentation fault after a full
    disk). Here a failure is kept instead, later writes are dropped, and `check` raises it.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+")
        self._failure: OSError | None = None
        self.hdf5 = h5py.File(self, "w")
        """The HDF5 file to write to."""

    def write(self, data: Any) -> int:
        """Write all of `data`, or remember why not."""
        view = memoryview(data)
        done = 0
        try:
            while self._failure is None and done < len(view):
                done += super().write(view[done:])
        except OSError as error:
            self._failure = error
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        """Set the size, or remember why not."""
        try:
            if self._failure is None:
                super().truncate(size)
        except OSError as error:
            self._failure = error
        return self.tell() if size is None else size

    def check(self) -> None:
        """Raise the first failure, if there was one."""
        if self._failure is not None:
            raise self._failure

    def finish(self) -> None:
        """Close the file when all of it has reached the disk.

        Raises:
            OSError: some of it has not.
        """
        self.hdf5.close()
        self.check()
        os.fsync(self.fileno())
        self.close()

    def abandon(self) -> None:
        """Close the file, whatever has become of it."""
        self.hdf5.close()
        self.close()
