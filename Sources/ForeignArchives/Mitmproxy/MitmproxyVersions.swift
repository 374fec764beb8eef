// The differences between versions of mitmproxy's flow format. The format has no schema except its keys. A renamed key is looked up
// by its newer name first, so a file of any version is read without converting it to the newest version.
//
// Versions are lists such as [0, 18, 2] and [3, 0, 0] up to mitmproxy 3, then one number from 4 on. Keys are bytes before 0.18,
// text since.

import FlowModel
import NIOCore

/// The format version of a record.
package enum MitmproxyVersion {
    package static let newest = 21

    /// - Throws: ``ForeignError`` for an unsupported version; `TnetstringError` if there is none.
    static func check(_ record: TnetstringEntries) throws {
        guard let version = record["version"] else { throw TnetstringError(kind: .expected("version"), offset: record.offset) }
        if version.tag == .integer {
            let number = try version.integer()
            guard number <= newest else { throw ForeignError.tooNew("\(number)") }
            guard number >= 4 else { throw ForeignError.tooOld("\(number)") }
            return
        }
        let numbers = try version.elements().map { value throws(TnetstringError) in try value.integer() }
        let name = numbers.map(String.init).joined(separator: ".")
        guard let major = numbers.first, numbers.count > 1 else { throw version.error("version") }
        if major == 0, numbers[1] < 11 { throw ForeignError.tooOld(name) }
        guard (0...3).contains(major) else { throw ForeignError.tooNew(name) }
    }
}

extension TnetstringEntries {
    /// An address: `[host, port, …]`; before version 2 in an object with the key `address`.
    func endpoint(_ value: Tnetstring?) throws(TnetstringError) -> Endpoint? {
        guard var value else { return nil }
        if value.tag == .dictionary {
            guard let inner = try value.entries()["address"] else { return nil }
            value = inner
        }
        let parts = try value.elements()
        guard parts.count >= 2 else { throw value.error("address") }
        return Endpoint(host: try parts[0].text(), port: UInt16(clamping: try parts[1].integer()))
    }

    // MARK: Connections

    /// Before version 19 the key was `address` for a client and `ip_address` for a server (`peer_address` before 0.18).
    var clientPeer: Tnetstring? { self["peername", "address"] }
    var serverPeer: Tnetstring? { self["peername", "ip_address", "peer_address"] }
    var local: Tnetstring? { self["sockname", "source_address"] }
    var tlsSetup: Tnetstring? { self["timestamp_tls_setup", "timestamp_ssl_setup"] }
    var cipher: Tnetstring? { self["cipher", "cipher_name"] }
    var alpn: Tnetstring? { self["alpn", "alpn_proto_negotiated"] }

    func certificates() throws(TnetstringError) -> [ByteBuffer] {
        if let list = self["certificate_list"] {
            var found: [ByteBuffer] = []
            for element in try list.elements() { if let der = certificateDER(ofPEM: try element.bytes()) { found.append(der) } }
            return found
        }
        guard let one = self["cert", "clientcert"] else { return [] }
        return certificateDER(ofPEM: try one.bytes()).map { [$0] } ?? []
    }

    /// Version 11 has `true` if the name is that of the server.
    func serverName(_ target: Endpoint?) throws(TnetstringError) -> String? {
        guard let name = self["sni"] else { return nil }
        if name.tag == .bool { return try name.bool() ? target?.host : nil }
        return try name.text()
    }

    /// The newest version has the version of QUIC.
    func tlsVersion() throws(TnetstringError) -> String? {
        let version = try self["tls_version"]?.text()
        return version == "QUIC" ? "QUICv1" : version
    }

    // MARK: Messages

    /// `HTTP/1.1`; before 0.13 its two numbers.
    func httpVersionText() throws(TnetstringError) -> String {
        if let text = self["http_version"] { return try text.text() }
        guard let pair = self["httpversion"] else { return "HTTP/1.1" }
        let numbers = try pair.elements()
        guard numbers.count == 2 else { throw pair.error("version") }
        return "HTTP/\(try numbers[0].integer()).\(try numbers[1].integer())"
    }

    var status: Tnetstring? { self["status_code", "code"] }
    var reason: Tnetstring? { self["reason", "msg"] }
    /// Up to version 8: `relative`, `absolute` or `authority`, the form of the request-target.
    var targetForm: Tnetstring? { self["first_line_format", "form_in"] }

    /// Before version 13 `marked` was a Boolean.
    func marker() throws(TnetstringError) -> String? {
        guard let marked = self["marked"] else { return nil }
        if marked.tag == .bool { return try marked.bool() ? "marked" : nil }
        let text = try marked.text()
        return text.isEmpty ? nil : text == ":default:" ? "marked" : text
    }
}
