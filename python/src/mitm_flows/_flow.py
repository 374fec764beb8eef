"""A recorded flow, as the reader gives it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Side = Literal["client", "server"]


class Lost:
    """Damaged content, of which only the size is known."""

    __slots__ = ("size",)

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size


@dataclass(slots=True)
class Cut:
    """Content that is not all stored (`--body-limit`): its whole size, and the SHA-256 of the whole in hexadecimal if it is known."""

    size: int
    sha256: str | None


@dataclass(slots=True)
class Piece:
    """Data of a body or a stream, or a WebSocket message.

    `at` is in nanoseconds since 1970. `wire` has the bytes that were sent, with compression. `cut` is set for a message that is not all stored.
    """

    at: int
    kind: str
    side: Side
    data: bytes | Lost
    wire: int
    cut: Cut | None

    @property
    def size(self) -> int:
        """Of data the bytes that were sent, of a message those without compression."""
        return self.cut.size if self.cut else self.wire if self.kind == "data" else len(self.data)


@dataclass(slots=True)
class Message:
    """A request, a response, or the head of one.

    `head` has the bytes as received; for HTTP/2 it is one `name: value` line for each field. `size` has the bytes of content as sent. Times are
    nanoseconds since 1970; `ended` is None when the end was not received.
    """

    version: tuple[int, int]
    head: bytes
    started: int
    ended: int | None = None
    trailers: bytes | None = None
    size: int = 0

    @property
    def fields(self) -> list[tuple[str, str]]:
        """The header fields in the order received, without the pseudo-fields of HTTP/2."""
        from . import _json

        return [(name, value) for name, value in _json.head_parts(self)[1]]


@dataclass(slots=True)
class Connection:
    """A connection of a flow. `address` is `host:port` of the peer; `tls` and `settings` are as in the JSON of mitm-dump."""

    id: str
    host: str
    address: str | None
    mode: str | None
    tls: dict[str, Any] | None
    settings: list[dict[str, Any]] | None


@dataclass(slots=True)
class Redaction:
    """What a rule of redaction changed in a place of the flow, or left out for a reason."""

    rule: str
    place: str
    count: int
    not_stored: str | None


@dataclass(slots=True)
class Flow:
    """One HTTP exchange, WebSocket conversation, TCP stream or failed TLS handshake. Times are nanoseconds since 1970."""

    id: str
    started: int
    ended: int | None = None
    kind: str = "tcp"
    stored_state: str = "incomplete"
    stream: int = 0
    scheme: str = ""
    host: str = ""
    port: int = 0
    client: Connection | None = None
    server: Connection | None = None
    stored_error: dict[str, str] | None = None
    closed_by: Side | None = None
    passthrough: tuple[int, int] | None = None
    comment: str | None = None
    request: Message | None = None
    response: Message | None = None
    interims: list[Message] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    notes: list[tuple[int, int, bytes]] = field(default_factory=list)
    malformed: list[tuple[int, Side, bytes]] = field(default_factory=list)
    local_reply: tuple[Message, bytes] | None = None
    reset: bool = False
    torn: bool = False
    redacted: dict[tuple[str, int, int | None], int] = field(default_factory=dict)
    decoded: int = 0
    cuts: dict[Side, Cut] = field(default_factory=dict)
    #: Bytes from the client and from the server in earlier files of the recording, which were not read.
    before: tuple[int, int] | None = None
    # While the flow is read: the number of its next part, and a piece that continues.
    next_part: int = 0
    continues: bool = False
    unfinished: list[bytes | Lost] = field(default_factory=list)

    @property
    def state(self) -> str:
        """complete, incomplete or failed."""
        return "incomplete" if self.torn or self.before else self.stored_state

    @property
    def error(self) -> str | None:
        """Why the flow failed, or is incomplete."""
        from . import _json

        found = _json.error(self)
        return found["message"] if found else None

    @property
    def is_websocket(self) -> bool:
        return any(piece.kind != "data" for piece in self.pieces)

    @property
    def method(self) -> str | None:
        from . import _json

        return _json.request_line(self.request)[0] if self.request else None

    @property
    def url(self) -> str | None:
        from . import _json

        return _json.url(self, self.request) if self.request else None

    @property
    def status(self) -> int | None:
        """The status of the response; None without one."""
        from . import _json

        return _json.status_line(self.response)[0] if self.response else None

    @property
    def request_body(self) -> bytes:
        """The stored content of the request, with its content codings. Raises DamagedFileError when it is damaged."""
        return self._body("client")

    @property
    def response_body(self) -> bytes:
        """The stored content of the response, with its content codings. Raises DamagedFileError when it is damaged."""
        return self._body("server")

    @property
    def messages(self) -> list[Piece]:
        """The messages of a WebSocket; of a TCP stream its data in the order of time."""
        return [piece for piece in self.pieces if piece.kind != "data"] if self.is_websocket else list(self.pieces)

    @property
    def redactions(self) -> list[Redaction]:
        """What rules of redaction changed or left out before the flow was stored."""
        from . import _json

        return [Redaction(one["rule"], one["in"], one["count"], one.get("not_stored")) for one in _json.redacted(self)]

    def to_dict(self) -> dict[str, Any]:
        """The flow as `mitm-dump --format json --raw-body` prints it (docs/json-lines.md)."""
        from . import _json

        return _json.flow_json(self)

    def _body(self, side: Side) -> bytes:
        from ._errors import DamagedFileError

        parts = []
        for piece in self.pieces:
            if piece.kind == "data" and piece.side == side:
                if isinstance(piece.data, Lost):
                    raise DamagedFileError("the content of flow %s is damaged" % self.id)
                parts.append(piece.data)
        return b"".join(parts)
