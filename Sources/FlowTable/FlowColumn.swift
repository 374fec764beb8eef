// The columns of a table of flows: one place for the name of each, its type, and how it is read from a flow. `--fields`, csv, `--sort` and
// `--group-by` use the same columns. Columns are only added.

import FlowModel
import HTTPSemantics
import NIOCore

/// A column of a table of flows.
package enum FlowColumn: String, Sendable, Hashable, CaseIterable {
    case id, kind, state, started, ended
    /// From start to end.
    case duration = "duration_us"
    /// From the end of the request to the head of the response.
    case timeToFirstByte = "ttfb_us"
    /// Addresses: `ip:port` of the client, `host:port` of the server as it was requested.
    case client, server
    /// The target's host, or the name that the request gives it when the target is an address.
    case host
    case port, method, scheme
    /// The request-target without scheme, authority and query, and the query without its question mark.
    case path, query
    case url
    case httpVersion = "http_version"
    /// Of the response that the client received.
    case status
    /// Bytes of content on the wire.
    case requestBytes = "req_bytes"
    case responseBytes = "resp_bytes"
    /// Media types in lower case, without parameters.
    case requestType = "req_type"
    case responseType = "resp_type"
    /// Of the client's connection.
    case tlsVersion = "tls_version"
    case alpn, sni, ja4
    /// The message of the error.
    case error
    case tags

    /// What the values of a column are.
    package enum Kind: Sendable, Equatable {
        case text
        case number
        /// Bytes.
        case size
        /// Microseconds.
        case duration
        case time
    }

    package var kind: Kind {
        switch self {
        case .started, .ended: .time
        case .duration, .timeToFirstByte: .duration
        case .requestBytes, .responseBytes: .size
        case .port, .status: .number
        case .id, .kind, .state, .client, .server, .host, .method, .scheme, .path, .query, .url, .httpVersion, .requestType,
            .responseType,
            .tlsVersion, .alpn, .sni, .ja4, .error, .tags:
            .text
        }
    }

    /// The value in a flow, which need not be made for it: a record in its block has the same attributes.
    /// - Throws: what fetching the facts of pieces throws.
    package func value(of flow: some FlowAttributes) throws -> FlowValue {
        switch self {
        case .id: .text(ByteBuffer(string: flow.id.description))
        case .kind: .text(Self.kinds[Int(flow.kind.rawValue)])
        case .state: .text(Self.states[Int(flow.state.rawValue)])
        case .started: .time(flow.started)
        case .ended: flow.ended.map { .time($0) } ?? .none
        case .duration: flow.ended.map { .number(($0 - flow.started) / 1000) } ?? .none
        case .timeToFirstByte: flow.timeToFirstByteMicroseconds.map { .number($0) } ?? .none
        case .host: FlowValue(flow.displayHost)
        case .port: flow.targetPort > 0 ? .number(Int64(flow.targetPort)) : .none
        case .status: flow.status > 0 ? .number(Int64(flow.status)) : .none
        case .requestBytes: FlowValue(try flow.contentSize(from: .client))
        case .responseBytes: FlowValue(try flow.contentSize(from: .server))
        case .method: FlowValue(flow.method)
        case .scheme: FlowValue(flow.targetScheme)
        case .path: FlowValue(flow.requestTarget?.targetParts.path)
        case .query: FlowValue(flow.requestTarget?.targetParts.query)
        case .url: FlowValue(flow.displayURL)
        case .httpVersion: FlowValue(flow.requestVersion.map { ByteBuffer(string: $0.description) })
        case .requestType: FlowValue(flow.requestFields?.first("content-type")?.mediaType)
        case .responseType: FlowValue(flow.responseFields?.first("content-type")?.mediaType)
        case .client: FlowValue(flow.connectionText(.address, of: .client))
        case .server: FlowValue(flow.connectionText(.address, of: .server))
        case .tlsVersion: FlowValue(flow.connectionText(.tlsVersion, of: .client))
        case .alpn: FlowValue(flow.connectionText(.alpn, of: .client))
        case .sni: FlowValue(flow.connectionText(.serverName, of: .client))
        case .ja4: FlowValue(flow.connectionText(.ja4, of: .client))
        case .error: FlowValue(flow.errorMessage)
        case .tags:
            flow.isTagged ? FlowValue(ByteBuffer(string: flow.tagTexts.map { String(buffer: $0) }.joined(separator: ","))) : .none
        }
    }

    private static let kinds = FlowKind.allCases.map { ByteBuffer(string: $0.description) }
    private static let states = [FlowState.complete, .incomplete, .failed].map { ByteBuffer(string: $0.description) }
}

extension ByteBuffer {
    /// The path and the query of a request-target; see ``UnsafeRawBufferPointer/targetParts``.
    package var targetParts: (path: ByteBuffer, query: ByteBuffer?) {
        let (path, query) = unsafe withUnsafeReadableBytes { unsafe $0.targetParts }
        return (slice(path), query.map { slice($0) })
    }

    /// A Content-Type without parameters, in lower case.
    var mediaType: ByteBuffer {
        let (end, isLower) = unsafe withUnsafeReadableBytes { unsafe $0.mediaType }
        let type = slice(0..<end)
        return isLower ? type : ByteBuffer(bytes: type.readableBytesView.map(\.lowercased))
    }

    private func slice(_ range: Range<Int>) -> ByteBuffer { slice(ByteRange(range.lowerBound, range.upperBound)) }
}

extension UnsafeRawBufferPointer {
    /// Where the path and the query of a request-target in any form are (RFC 9112 section 3.2). `*` and `host:port` have no path of their
    /// own, so they stand for it. The query is nil without a question mark.
    var targetParts: (path: Range<Int>, query: Range<Int>?) {
        var start = 0
        // The absolute form: the path begins after the authority.
        if count > 0, unsafe self[0] != UInt8(ascii: "/"), let authority = unsafe endOfScheme {
            start = authority
            while start < count, unsafe self[start] != UInt8(ascii: "/") && self[start] != UInt8(ascii: "?") { start &+= 1 }
        }
        var end = start
        while end < count, unsafe self[end] != UInt8(ascii: "?") { end &+= 1 }
        return (start..<end, end < count ? end + 1..<count : nil)
    }

    /// Where the authority begins in a target in absolute form; nil in other forms.
    private var endOfScheme: Int? {
        for index in 0..<count {
            switch unsafe self[index] {
            case UInt8(ascii: ":"):
                let isAbsolute = unsafe index + 2 < count && self[index + 1] == 0x2F && self[index + 2] == 0x2F
                return isAbsolute ? index + 3 : nil
            case UInt8(ascii: "/"), UInt8(ascii: "?"): return nil
            default: continue
            }
        }
        return nil
    }

    /// The end of the media type in a Content-Type, and whether it is in lower case.
    var mediaType: (end: Int, isLower: Bool) {
        var end = 0
        var isLower = true
        while end < count, unsafe self[end] != UInt8(ascii: ";") {
            if unsafe self[end] != self[end].lowercased { isLower = false }
            end &+= 1
        }
        while end > 0, unsafe self[end &- 1].isWhitespaceOrLineEnd { end &-= 1 }
        return (end, isLower)
    }
}
