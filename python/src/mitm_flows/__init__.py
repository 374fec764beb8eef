"""Flow files of mitm-record, in Python: flow by flow, as Arrow tables, and in DuckDB, polars and Spark.

    for flow in mitm_flows.open("capture.mflow"): ...
    mitm_flows.read("captures/", "~c >=500", columns=["host", "path", "status"])

`open` reads with Python alone. The other functions call the program mitm-filter, which selects flows and decodes only the columns that are
needed. docs/scale-out.md of the project shows them, and `mitm_flows.spark`.
"""

from typing import TYPE_CHECKING, Any

from ._errors import DamagedFileError, EncryptedFileError, FlowFileError, FlowFileWarning, NotAFlowFileError, ToolError, UnsealedFileError
from ._flow import Connection, Cut, Flow, Lost, Message, Piece, Redaction
from ._reader import Recording
from ._reader import open_recording as open

if TYPE_CHECKING:
    from ._arrow import FlowDataset, dataset, read
    from ._polars import scan_polars
    from ._tool import ReadOptions

__version__ = "0.1.0"
__all__ = [
    "Connection",
    "Cut",
    "DamagedFileError",
    "EncryptedFileError",
    "Flow",
    "FlowDataset",
    "FlowFileError",
    "FlowFileWarning",
    "Lost",
    "Message",
    "NotAFlowFileError",
    "Piece",
    "ReadOptions",
    "Recording",
    "Redaction",
    "ToolError",
    "UnsealedFileError",
    "dataset",
    "open",
    "read",
    "scan_polars",
]


def __getattr__(name: str) -> Any:
    # What needs pyarrow or polars is imported when it is used.
    if name in ("FlowDataset", "dataset", "read"):
        from . import _arrow

        return getattr(_arrow, name)
    if name == "scan_polars":
        from . import _polars

        return _polars.scan_polars
    if name == "ReadOptions":
        from . import _tool

        return _tool.ReadOptions
    raise AttributeError("module %r has no attribute %r" % (__name__, name))
