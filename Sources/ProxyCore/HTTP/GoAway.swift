// The end of an HTTP/2 connection to a server, as the server announces it.

import HTTP2Codec

/// Why a server takes no more streams (RFC 9113 §6.8).
struct GoAway {
    var code: HTTP2ErrorCode
    var debug: String

    var isError: Bool { code != .noError }

    /// `GOAWAY with ENHANCE_YOUR_CALM, "too_many_pings"`
    var description: String { "GOAWAY with \(code)" + (debug.isEmpty ? "" : ", \"\(debug)\"") }
}
