"""Record batches of a run of mitm-filter."""

from __future__ import annotations

import signal
import subprocess
import tempfile
import warnings
import weakref
from collections.abc import Iterator, Sequence
from typing import IO

import pyarrow as pa

from ._errors import DamagedFileError, FlowFileWarning, ToolError
from ._reader import Mode

SCHEMA = b"1"
#: The most that a pipe holds without privileges. mitm-filter decodes the next batch while this process handles one.
PIPE = 1 << 20


class Stream(Iterator[pa.RecordBatch]):
    """The record batches that a command of mitm-filter writes.

    The program ends at the end of the stream, when the stream is closed, and when nothing refers to the stream.

    - mode: whether damaged input raises or is reported by FlowFileWarning.
    - expected: the least number of rows; fewer raise DamagedFileError, which names `place`.

    Raises ToolError with the message of the program, and DamagedFileError.
    """

    def __init__(self, command: Sequence[str], mode: Mode, expected: int | None, place: str) -> None:
        self._mode, self._expected, self._place = mode, expected, place
        self._rows = 0
        self._errors = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._errors, pipesize=PIPE
        )
        self._end = weakref.finalize(self, _end, self._process, self._errors)
        try:
            self._reader = pa.ipc.open_stream(self._process.stdout)
        except (pa.ArrowInvalid, OSError) as error:
            self._fail("wrote no Arrow stream: %s" % error, error)
        except BaseException:
            self.close()
            raise
        self.schema: pa.Schema = self._reader.schema
        version = (self.schema.metadata or {}).get(b"mflow.schema")
        if version != SCHEMA:
            self.close()
            raise ToolError(
                "mitm-filter writes version %s of the columns, and this mitm-flows reads 1; install a later mitm-flows"
                % (version.decode("utf-8", "replace") if version else "no")
            )

    def close(self) -> None:
        """Ends the program. The stream has no further batches."""
        self._end()

    def __next__(self) -> pa.RecordBatch:
        if not self._end.alive:
            raise StopIteration
        try:
            batch = self._reader.read_next_batch()
        except StopIteration:
            self._finish()
            raise
        except (pa.ArrowInvalid, OSError) as error:
            self._fail("wrote an Arrow stream that is damaged: %s" % error, error)
        except BaseException:
            # Ctrl-C, for example.
            self.close()
            raise
        self._rows += batch.num_rows
        return batch

    def _finish(self) -> None:
        """Checks the status of the program and the number of rows, at the end of the stream."""
        message = self._message()
        check(self._process.returncode, message, self._mode)
        if self._expected is not None and self._rows < self._expected:
            raise DamagedFileError(
                "%s: %d of %d flows of the index were read; mode='permissive' accepts that" % (self._place, self._rows, self._expected)
            )

    def _fail(self, what: str, error: Exception) -> None:
        """Raises the error that the program reports, or else what is wrong with its stream."""
        message = self._message()
        check(self._process.returncode, message, "strict")
        raise ToolError("mitm-filter %s" % what) from error

    def _message(self) -> str:
        """Waits for the end of the program, which cannot write any more; the text of its errors."""
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process.wait()
        self._errors.seek(0)
        text = self._errors.read().decode("utf-8", "replace")
        self.close()
        return text


def _end(process: subprocess.Popen[bytes], errors: IO[bytes]) -> None:
    if process.poll() is None:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
    errors.close()


def check(status: int, text: str, mode: Mode) -> None:
    """Raises ToolError or DamagedFileError for a status of mitm-filter that is not success; `text` is from its standard error."""
    if status in (0, 1):
        return
    message = "\n".join(line.removeprefix("mitm-filter: ").removeprefix("Error: ") for line in text.strip().splitlines())
    if status == 3 and mode == "permissive":
        warnings.warn(message, FlowFileWarning, stacklevel=2)
    elif status == 3:
        raise DamagedFileError("%s; mode='permissive' reads the rest" % message)
    elif status < 0:
        raise ToolError("%s ended mitm-filter%s" % (signal.Signals(-status).name, ": " + message if message else ""))
    else:
        raise ToolError(message or "mitm-filter ended with status %d and no message" % status)
