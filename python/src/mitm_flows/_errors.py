"""The exceptions and the warning of the package. Each message is a sentence: what failed, where, what to do."""


class FlowFileError(Exception):
    """A flow file cannot be read, or not all of it."""


class NotAFlowFileError(FlowFileError):
    """The file is not a flow file."""


class EncryptedFileError(FlowFileError):
    """The file is encrypted (age), and this reader has no keys."""


class UnsealedFileError(FlowFileError):
    """The file has no end yet: it is being written, or its writer was killed. Flows may be missing."""


class DamagedFileError(FlowFileError):
    """Bytes of the file are wrong or missing."""


class ToolError(FlowFileError):
    """The program mitm-filter is missing, has another version, or failed."""


class FlowFileWarning(UserWarning):
    """Part of a file was skipped in the mode "permissive"."""


class Damaged(Exception):
    """Bytes that are not what the format demands; the reader of the file reports where they are."""
