// The opening handshake over HTTP/1 (RFC 6455 §4): recognises the request and the response that open a conversation, checks that they
// belong together, and returns the negotiated parameters. Extensions are checked in the same way for HTTP/2 (RFC 8441 §5).

import HTTPSemantics
import NIOCore

/// The parameters that a client offers.
package struct WebSocketOffer: Sendable, Equatable {
    /// Sec-WebSocket-Key as it was sent; empty for HTTP/2, which has none (RFC 8441 §5).
    package var key: String
    /// Sec-WebSocket-Protocol, most preferred first.
    package var protocols: [String]
    package var extensions: [WebSocketExtension]

    package init(key: String, protocols: [String] = [], extensions: [WebSocketExtension] = []) {
        self.key = key
        self.protocols = protocols
        self.extensions = extensions
    }
}

/// The parameters that both sides agreed on.
package struct WebSocketAgreement: Sendable, Equatable {
    package var subprotocol: String?
    /// nil: messages are not compressed.
    package var compression: PerMessageDeflate?
    /// Extensions that were agreed on and are not supported here; their effect on frames is not known.
    package var unknownExtensions: [WebSocketExtension]

    package init(subprotocol: String? = nil, compression: PerMessageDeflate? = nil, unknownExtensions: [WebSocketExtension] = []) {
        self.subprotocol = subprotocol
        self.compression = compression
        self.unknownExtensions = unknownExtensions
    }
}

package enum WebSocketHandshake {
    /// The only version (RFC 6455 §4.1). A server answers a request for another version with 426 and this number.
    package static let version = "13"

    /// Sec-WebSocket-Accept for a Sec-WebSocket-Key (RFC 6455 §4.2.2, step 5.4).
    package static func accept(for key: String) -> String {
        Base64.encode(ByteBuffer(bytes: sha1(Array((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8))))
    }

    /// A Sec-WebSocket-Key of 16 bytes, which must be random for each connection (RFC 6455 §4.1).
    package static func key(nonce: [UInt8]) -> String {
        precondition(nonce.count == 16, "a nonce has 16 bytes")
        return Base64.encode(ByteBuffer(bytes: nonce))
    }

    /// Reads a request (RFC 6455 §4.2.1).
    /// - Returns: nil if it does not ask for WebSocket: another method than GET, HTTP/1.0, no `Upgrade: websocket` or no
    ///   `Connection: Upgrade`.
    /// - Throws: if it asks for WebSocket and a server must refuse it: the version, the key, or the grammar of its fields.
    package static func offer(in request: RequestHead) throws(WebSocketError) -> WebSocketOffer? {
        let fields = request.fields
        guard request.upgrade == .webSocket, request.version == .http1_1 else { return nil }
        let versions = fields.all("sec-websocket-version")
        guard versions.count == 1, String(buffer: versions[0]) == version else {
            throw WebSocketError(.handshake, "the request does not ask for version \(version) of WebSocket")
        }
        let keys = fields.all("sec-websocket-key")
        guard keys.count == 1, keys[0].readableBytes == 24, Base64.decode(keys[0])?.readableBytes == 16 else {
            throw WebSocketError(
                .handshake, "the request has no Sec-WebSocket-Key, more than one, or one that is not 16 bytes in Base64")
        }
        var offer = try self.offer(in: fields)
        offer.key = String(buffer: keys[0])
        return offer
    }

    /// Reads subprotocols and extensions of a request of any version of HTTP.
    package static func offer(in fields: FieldSection) throws(WebSocketError) -> WebSocketOffer {
        WebSocketOffer(key: "", protocols: subprotocols(fields), extensions: try WebSocketExtension.all(in: fields))
    }

    /// Reads a response to an offer (RFC 6455 §4.1, the list at its end).
    /// - Returns: nil if the server does not switch to WebSocket: another status than 101.
    /// - Throws: if it switches and a client must refuse it: to another protocol, with another Sec-WebSocket-Accept, with a subprotocol or
    ///   an extension that was not offered.
    package static func agreement(in response: ResponseHead, to offer: WebSocketOffer) throws(WebSocketError) -> WebSocketAgreement?
    {
        guard response.status == 101 else { return nil }
        try confirm(response, key: offer.key)
        return try agreement(in: response.fields, to: offer)
    }

    /// Checks that a 101 opens the conversation that was requested (RFC 6455 §4.1).
    /// - Throws: if it switches to another protocol, or with another Sec-WebSocket-Accept.
    package static func confirm(_ response: ResponseHead, key: String) throws(WebSocketError) {
        guard isUpgrade(response.fields) else {
            throw WebSocketError(.handshake, "the server switches protocols, but not to WebSocket")
        }
        let accepts = response.fields.all("sec-websocket-accept")
        guard accepts.count == 1, String(buffer: accepts[0]) == accept(for: key) else {
            throw WebSocketError(.handshake, "Sec-WebSocket-Accept in the response does not belong to the key of the request")
        }
    }

    /// Reads subprotocol and extensions of a response of any version of HTTP.
    package static func agreement(in fields: FieldSection, to offer: WebSocketOffer) throws(WebSocketError) -> WebSocketAgreement {
        var agreement = WebSocketAgreement()
        let accepted = subprotocols(fields)
        guard accepted.count <= 1, accepted.allSatisfy(offer.protocols.contains) else {
            throw WebSocketError(
                .handshake, "the server chose the subprotocol \(accepted.joined(separator: ", ")), which was not asked for")
        }
        agreement.subprotocol = accepted.first
        for accepted in try WebSocketExtension.all(in: fields) {
            guard offer.extensions.contains(where: { $0.name == accepted.name }) else {
                throw WebSocketError(
                    .handshake, closeCode: CloseCode.mandatoryExtension,
                    "the server accepted the extension \(accepted.name), which was not asked for")
            }
            if accepted.name == PerMessageDeflate.name {
                guard agreement.compression == nil else {
                    throw WebSocketError(.extensionParameters, "the server accepted \(PerMessageDeflate.name) twice")
                }
                agreement.compression = try compression(accepted, offer)
            } else {
                agreement.unknownExtensions.append(accepted)
            }
        }
        return agreement
    }

    private static func compression(
        _ accepted: WebSocketExtension, _ offer: WebSocketOffer
    ) throws(WebSocketError) -> PerMessageDeflate {
        let compression = try PerMessageDeflate(response: accepted)
        guard PerMessageDeflateOffer.all(in: offer.extensions).contains(where: compression.answers) else {
            throw WebSocketError(.extensionParameters, "the server accepted \"\(accepted)\", which answers no offer of the client")
        }
        return compression
    }

    private static func isUpgrade(_ fields: FieldSection) -> Bool {
        fields.list("upgrade", contains: "websocket") && fields.list("connection", contains: "upgrade")
    }

    private static func subprotocols(_ fields: FieldSection) -> [String] {
        fields.all("sec-websocket-protocol").flatMap { $0.listElements() }.map { String(buffer: $0) }
    }
}
