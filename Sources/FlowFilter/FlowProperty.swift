// The operators without an argument: what a flow is, or is not.

import FlowModel
import NIOCore

/// A fact of a flow that is true or false.
enum FlowProperty: Equatable {
    case any
    /// Nothing that a recording holds.
    case notRecorded
    case kind(FlowKind)
    case webSocket
    case asset
    case error
    case incomplete
    case tagged
    case hasResponse
    case hasNoResponse
    case localReply
    /// The response offers HTTP/3 (RFC 7838).
    case offersHTTP3
    /// Interim responses preceded the response.
    case informational
    /// A connection that was passed through unread.
    case passthrough
    /// Content of it is not all stored (`--body-limit`).
    case truncated
    /// The certificate of the server was verified.
    case verified
    /// Redaction changed it before it was stored.
    case redacted

    func matches(_ flow: some FlowAttributes) -> Bool {
        switch self {
        case .any: true
        case .notRecorded: false
        case .kind(let kind): flow.kind == kind
        case .webSocket: flow.isWebSocket
        case .asset: Self.isAsset(flow.responseFields?.first("content-type"))
        case .error: flow.errorMessage != nil
        case .incomplete: flow.state == .incomplete
        case .tagged: flow.isTagged
        case .hasResponse: flow.status > 0 && !flow.hasLocalReply
        case .hasNoResponse: flow.kind == .http && (flow.status == 0 || flow.hasLocalReply)
        case .localReply: flow.hasLocalReply
        case .offersHTTP3: flow.responseFields?.offersHTTP3 == true
        case .informational: !flow.interimStatuses.isEmpty
        case .passthrough: flow.isPassthrough
        case .redacted: flow.redaction != nil
        case .truncated: flow.isTruncated
        case .verified: flow.connectionText(.verification, of: .server) == ConnectionText.verified
        }
    }

    /// False only when no flow of the block has the property.
    func mayMatch(_ block: some BlockSummary) -> Bool {
        switch self {
        case .notRecorded: false
        case .kind(let kind): block.mayContain(kind)
        case .webSocket, .asset, .hasResponse, .hasNoResponse, .offersHTTP3, .informational: block.mayContain(.http)
        case .passthrough: block.mayContain(.tcp)
        case .any, .error, .incomplete, .tagged, .localReply, .truncated, .verified, .redacted: true
        }
    }

    /// text/javascript, application/javascript and x-javascript, text/css, image/*, font/*, application/font*.
    private static func isAsset(_ type: ByteBuffer?) -> Bool {
        guard let type else { return false }
        let prefixes = [
            "text/javascript", "application/x-javascript", "application/javascript", "text/css", "image/", "font/",
            "application/font",
        ]
        return prefixes.contains { String(buffer: type).hasPrefix($0) }
    }
}
