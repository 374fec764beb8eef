// The facts of a flow below its line: times, and the connections that carried it.

import FlowModel
import HTTPSemantics
import NIOCore

struct FlowFacts {
    let style: TextStyle

    func write(_ flow: Flow, into out: inout ByteBuffer) {
        times(flow, &out)
        if let client = flow.client?.value, !client.peer.host.isEmpty {
            connection("client", client.peer.description, client.tls, client.settings, &out)
        }
        if let server = flow.server?.value {
            let name = server.target.description
            let address = server.peer.map { $0 == server.target ? "" : " (\($0))" } ?? " (not connected)"
            connection("server", name + address, server.tls, server.settings, &out)
        }
    }

    /// `started 2026-11-27T08:28:22.411+01:00, first byte +2.1 ms, ended +2.7 ms`.
    private func times(_ flow: Flow, _ out: inout ByteBuffer) {
        func later(_ name: String, _ time: Timestamp?) {
            if let time { out.writeString(", \(name) +\(readableDuration(time - flow.started))") }
        }
        out.writeString("    started ")
        LocalTime.shared.write(full: flow.started, into: &out)
        if flow.request?.size ?? 0 > 0 { later("request sent", flow.request?.ended) }
        later("first byte", flow.response?.started)
        later("ended", flow.ended)
        out.writeString("\n")
    }

    private func connection(
        _ side: String, _ endpoint: String, _ details: TLSDetails?, _ settings: [PeerSetting]?, _ out: inout ByteBuffer
    ) {
        out.writeVisible("    \(side) \(endpoint)")
        if let details, let version = details.version {
            out.writeString(" \(version) \(details.cipher ?? "")")
            if let alpn = details.alpn { out.writeVisible(" \(alpn)") }
            if let name = details.serverName { out.writeVisible(" SNI \(name)") }
            if details.isResumed { out.writeString(" resumed") }
        }
        if let isVerified = details?.isVerified {
            if isVerified {
                out.writeString(" verified")
            } else {
                var reason = ByteBuffer()
                reason.writeVisible(details?.verificationError.map { ": \($0)" } ?? "")
                out.writeString(" " + style.palette.text("NOT VERIFIED" + String(buffer: reason), .failure))
            }
        }
        out.writeString("\n")
        guard style.detail > 2, let settings else { return }
        out.writeString("        SETTINGS \(settings.map(\.description).joined(separator: " "))\n")
    }
}
