// Writes flows in mitmproxy's flow format 21. Its reader requires exactly these keys and rejects a record with more or fewer, so
// each key is written even if a recording has no value for it.

import FlowModel
import HTTPSemantics
import NIOCore

/// Writes flows as records.
package struct MitmproxyWriter: Sendable {
    /// Larger bodies are left out, as mitmproxy leaves out bodies that it streamed: a record is built in memory.
    static let maximumBody = 512 << 20
    /// The values that mitmproxy's reader accepts; it rejects a file with any other.
    private static let tlsVersions: Set<String> = [
        "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3", "DTLSv0.9", "DTLSv1", "DTLSv1.2", "QUICv1",
    ]

    package private(set) var report = ConversionReport(format: "mitmproxy")
    /// What the current flow lost to the limits of the format, and to damage.
    var found: [LossClass: Int] = [:]

    package init() {}

    /// Appends the record of a flow.
    /// - Returns: false if the format cannot contain the flow: a failed TLS connection, a request without a head. Nothing is
    ///   appended then.
    /// - Throws: if content cannot be read; nothing is appended then.
    package mutating func write(_ flow: Flow, into out: inout ByteBuffer) throws -> Bool {
        guard flow.kind == .tcp || flow.isHTTPWithRequest else {
            report.leaveOut(flow, flow.kindLeftOut)
            return false
        }
        var record = TnetstringWriter()
        // The first tag is the marker. A message has its times unless its content is partial.
        found = [.tags: flow.tags.count - 1, .messageTimes: 0]
        if flow.openEnds > 0 { found[.contentLength] = flow.openEnds }
        try record.dictionary { record in
            common(flow, &record)
            if let request = flow.request, flow.kind == .http {
                record.text("request")
                try self.request(request, flow, &record)
                record.text("response")
                if let response = flow.response { try self.response(response, flow, &record) } else { record.null() }
                record.text("websocket")
                if flow.isWebSocket { try conversation(flow, &record) } else { record.null() }
            } else {
                record.text("messages")
                try messages(flow, &record)
            }
        }
        try report.write(flow, found: found, by: Self.fate)
        out.writeImmutableBuffer(record.out)
        return true
    }

    private func common(_ flow: Flow, _ out: inout TnetstringWriter) {
        out.text("version")
        out.integer(MitmproxyVersion.newest)
        out.text("type")
        out.text(flow.kind == .tcp ? "tcp" : "http")
        out.text("id")
        out.text(flow.id.description)
        out.text("error")
        out.optional(flow.error) { out, error in
            out.dictionary { out in
                out.text("msg")
                out.text(error.message)
                out.text("timestamp")
                out.time(error.at)
            }
        }
        out.text("client_conn")
        client(flow.client?.value ?? .unknown, flow, &out)
        out.text("server_conn")
        server(flow, &out)
        out.text("intercepted")
        out.bool(false)
        out.text("is_replay")
        out.null()
        out.text("marked")
        out.text(flow.tags.first.map { $0 == "marked" ? ":default:" : $0 } ?? "")
        out.text("metadata")
        out.dictionary { _ in }
        out.text("comment")
        out.text(Self.comment(on: flow))
        out.text("timestamp_created")
        out.time(flow.started)
        out.text("backup")
        out.null()
    }

    /// Its comment. The format cannot mark a message of a conversation that is not all stored.
    private static func comment(on flow: Flow) -> String {
        let known = flow.comment ?? ""
        guard flow.kind == .tcp || flow.isWebSocket, flow.isTruncated else { return known }
        return known + (known.isEmpty ? "" : "; ") + "not all content of the messages is in the recording"
    }

    // MARK: Connections

    private func client(_ client: ClientConnection, _ flow: Flow, _ out: inout TnetstringWriter) {
        out.dictionary { out in
            connection(client.id, peer: client.peer, local: client.local, client.tls, &out)
            out.text("timestamp_start")
            out.time(client.opened.nanoseconds == 0 ? flow.started : client.opened)
            out.text("timestamp_end")
            out.null()
            out.text("mitmcert")
            out.null()
            out.text("proxy_mode")
            out.text(Self.mode(client.mode))
        }
    }

    private func server(_ flow: Flow, _ out: inout TnetstringWriter) {
        let server = flow.server?.value
        out.dictionary { out in
            connection(
                server?.id ?? ConnectionID(high: flow.id.high ^ 2, low: flow.id.low), peer: server?.peer, local: server?.local,
                server?.tls, &out)
            out.text("address")
            out.optional(server?.target) { $0.endpoint($1) }
            out.text("timestamp_start")
            out.optional(server?.opened) { $0.time($1) }
            out.text("timestamp_end")
            out.optional(flow.kind == .tcp ? flow.ended : nil) { $0.time($1) }
            out.text("timestamp_tcp_setup")
            out.optional(server?.connected) { $0.time($1) }
            out.text("via")
            out.null()
        }
    }

    private func connection(
        _ id: ConnectionID, peer: Endpoint?, local: Endpoint?, _ tls: TLSDetails?, _ out: inout TnetstringWriter
    ) {
        out.text("id")
        out.text(id.description)
        out.text("peername")
        out.optional(peer) { $0.endpoint($1) }
        out.text("sockname")
        out.optional(local) { $0.endpoint($1) }
        out.text("transport_protocol")
        out.text("tcp")
        out.text("error")
        out.null()
        out.text("tls")
        out.bool(tls != nil)
        out.text("certificate_list")
        out.list { out in for der in tls?.certificates ?? [] where isCertificate(der) { out.bytes(certificatePEM(ofDER: der)) } }
        out.text("alpn")
        out.optional(tls?.alpn) { $0.bytes($1) }
        out.text("alpn_offers")
        out.list { out in for offer in tls?.alpnOffers ?? [] { out.bytes(offer) } }
        out.text("cipher")
        out.optional(tls?.cipher) { $0.text($1) }
        out.text("cipher_list")
        out.list { _ in }
        out.text("tls_version")
        out.optional(tls?.version.flatMap { Self.tlsVersions.contains($0) ? $0 : nil }) { $0.text($1) }
        out.text("sni")
        out.optional(tls?.serverName) { $0.text($1) }
        out.text("timestamp_tls_setup")
        out.optional(tls?.handshakeEnded) { $0.time($1) }
    }

    /// The mode in mitmproxy's form. A mode that it does not have becomes `regular`, because its reader rejects a mode that it
    /// cannot parse.
    private static func mode(_ mode: String) -> String {
        let isOwn = ["regular", "transparent", "socks5"].contains { mode == $0 || mode.hasPrefix($0 + "@") }
        let schemes = [
            "reverse:http://", "reverse:https://", "reverse:tcp://", "reverse:tls://", "upstream:http://", "upstream:https://",
        ]
        return isOwn || schemes.contains { mode.hasPrefix($0) && !mode.contains("@") } ? mode : "regular"
    }
}

extension TnetstringWriter {
    fileprivate mutating func endpoint(_ endpoint: Endpoint) {
        list { out in
            out.text(endpoint.host)
            out.integer(Int(endpoint.port))
        }
    }
}
