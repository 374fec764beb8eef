"""Flow files of mitm-record, in Python: flow by flow, as Arrow tables, and in DuckDB, polars and Spark.

    for flow in mitm_flows.open("capture.mflow"): ...

`open` reads with Python alone. The other functions call the program mitm-filter, which selects flows and decodes only the columns that are
needed. docs/scale-out.md of the project shows them.
"""

from ._errors import DamagedFileError, EncryptedFileError, FlowFileError, NotAFlowFileError, ToolError, UnsealedFileError
from ._flow import Connection, Cut, Flow, Lost, Message, Piece, Redaction
from ._reader import Recording
from ._reader import open_recording as open

__version__ = "0.1.0"
__all__ = [
    "Connection",
    "Cut",
    "DamagedFileError",
    "EncryptedFileError",
    "Flow",
    "FlowFileError",
    "Lost",
    "Message",
    "NotAFlowFileError",
    "Piece",
    "Recording",
    "Redaction",
    "ToolError",
    "UnsealedFileError",
    "open",
]
