// Negotiation of permessage-deflate (RFC 7692 §7.1): the client's offers, the server's response, and for each direction whether a message
// may refer to those before it, and how far back.

import HTTPSemantics

/// permessage-deflate as it was negotiated for a connection.
package struct PerMessageDeflate: Sendable, Hashable {
    /// How one side compresses what it sends.
    package struct Direction: Sendable, Hashable {
        /// A message may refer to the messages before it (RFC 7692 §7.1.1).
        package var takesOverContext: Bool
        /// The window is two to the power of this many bytes; 8 to 15 (RFC 7692 §7.1.2).
        package var windowBits: Int

        package init(takesOverContext: Bool = true, windowBits: Int = 15) {
            self.takesOverContext = takesOverContext
            self.windowBits = windowBits
        }
    }

    package static let name = "permessage-deflate"

    package var client: Direction
    package var server: Direction

    package init(client: Direction = Direction(), server: Direction = Direction()) {
        self.client = client
        self.server = server
    }

    package subscript(side: Side) -> Direction { side == .client ? client : server }

    /// Reads the extension as a server accepted it (RFC 7692 §7.1).
    /// - Throws: if a parameter is not known, appears twice, or has a value that is not valid in a response.
    package init(response: WebSocketExtension) throws(WebSocketError) {
        let parameters = try PerMessageDeflateOffer(response)
        if case .any = parameters.clientMaxWindowBits {
            throw WebSocketError(.extensionParameters, "the response has client_max_window_bits without a value")
        }
        // RFC 7692 §7.1.2.2: the value in an offer is a hint. Only the value in the response is binding.
        self.init(
            client: Direction(
                takesOverContext: !parameters.clientNoContextTakeover, windowBits: parameters.clientMaxWindowBits.bits ?? 15),
            server: Direction(
                takesOverContext: !parameters.serverNoContextTakeover, windowBits: parameters.serverMaxWindowBits ?? 15))
    }

    /// Accepts the first valid offer, as a server without preferences does (RFC 7692 §5.1).
    /// - Parameter offers: the extensions of a request; those with other names are skipped.
    /// - Returns: nil if no offer can be accepted.
    package init?(accepting offers: [WebSocketExtension]) {
        guard let offer = PerMessageDeflateOffer.all(in: offers).first else { return nil }
        self.init(
            client: Direction(takesOverContext: !offer.clientNoContextTakeover, windowBits: offer.clientMaxWindowBits.bits ?? 15),
            server: Direction(takesOverContext: !offer.serverNoContextTakeover, windowBits: offer.serverMaxWindowBits ?? 15))
    }

    /// The extension for a server's response.
    package var response: WebSocketExtension {
        var parameters: [WebSocketExtension.Parameter] = []
        if !server.takesOverContext { parameters.append(.init("server_no_context_takeover")) }
        if !client.takesOverContext { parameters.append(.init("client_no_context_takeover")) }
        if server.windowBits < 15 { parameters.append(.init("server_max_window_bits", "\(server.windowBits)")) }
        if client.windowBits < 15 { parameters.append(.init("client_max_window_bits", "\(client.windowBits)")) }
        return WebSocketExtension(Self.name, parameters)
    }

    /// Whether a server may respond with this to an offer (RFC 7692 §7.1.1, §7.1.2).
    package func answers(_ offer: PerMessageDeflateOffer) -> Bool {
        if offer.serverNoContextTakeover, server.takesOverContext { return false }
        if let bits = offer.serverMaxWindowBits, server.windowBits > bits { return false }
        // RFC 7692 §7.1.2.2: the server may limit the client's window only if the client offered that.
        return offer.clientMaxWindowBits != .absent || client.windowBits == 15
    }
}

/// The parameters of one offer of permessage-deflate (RFC 7692 §7.1). A response has the same ones, read more narrowly.
package struct PerMessageDeflateOffer: Sendable, Hashable {
    package enum ClientWindow: Sendable, Hashable {
        case absent
        /// The client accepts any limit.
        case any
        /// The client accepts any limit and will not use a larger window than this.
        case bits(Int)

        var bits: Int? { if case .bits(let bits) = self { bits } else { nil } }
    }

    package var serverNoContextTakeover = false
    package var clientNoContextTakeover = false
    package var serverMaxWindowBits: Int?
    package var clientMaxWindowBits = ClientWindow.absent

    package init() {}

    /// - Throws: if a parameter is not known, appears twice, or has a value that is not valid. A server declines such an offer.
    package init(_ offer: WebSocketExtension) throws(WebSocketError) {
        var seen: Set<String> = []
        for parameter in offer.parameters {
            guard seen.insert(parameter.name).inserted else { throw Self.fault(parameter, "appears twice") }
            switch parameter.name {
            case "server_no_context_takeover":
                guard parameter.value == nil else { throw Self.fault(parameter, "has a value") }
                serverNoContextTakeover = true
            case "client_no_context_takeover":
                guard parameter.value == nil else { throw Self.fault(parameter, "has a value") }
                clientNoContextTakeover = true
            case "server_max_window_bits":
                serverMaxWindowBits = try Self.windowBits(parameter)
            case "client_max_window_bits":
                clientMaxWindowBits = parameter.value == nil ? .any : .bits(try Self.windowBits(parameter))
            default:
                throw Self.fault(parameter, "is not known")
            }
        }
    }

    /// RFC 7692 §7.1.2: a decimal number from 8 to 15 without leading zeros.
    private static func windowBits(_ parameter: WebSocketExtension.Parameter) throws(WebSocketError) -> Int {
        guard let bits = (8...15).first(where: { "\($0)" == parameter.value }) else {
            throw fault(parameter, "is not a number from 8 to 15")
        }
        return bits
    }

    private static func fault(_ parameter: WebSocketExtension.Parameter, _ what: String) -> WebSocketError {
        WebSocketError(.extensionParameters, "the parameter \(parameter) of permessage-deflate \(what)")
    }

    /// The valid offers among the extensions of a request, most preferred first. Others are omitted: a server must decline them (RFC 7692
    /// §7.1).
    package static func all(in extensions: [WebSocketExtension]) -> [PerMessageDeflateOffer] {
        extensions.filter { $0.name == PerMessageDeflate.name }.compactMap { offer in
            do throws(WebSocketError) { return try PerMessageDeflateOffer(offer) } catch { return nil }
        }
    }
}
