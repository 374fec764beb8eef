// Modes as they are written: `regular`, `reverse:https://example.org`, each optionally followed by `@[host:]port`.

import FlowModel
import NIOCore

/// One `--mode`: the mode, and the address to listen on if it differs from the general setting.
package struct ModeSpecification: Sendable, Equatable {
    package var mode: ProxyMode
    /// As it was written, without the address.
    package var text: String
    package var listenHost: String?
    package var listenPort: UInt16?
}

/// Why a mode is not valid, in one sentence.
package struct ModeError: Error, Sendable, Equatable, CustomStringConvertible {
    package var description: String
}

extension ModeSpecification {
    /// - Parameter text: `regular` or `reverse:http[s]|h2c://host[:port]`, then optionally `@port`, `@host:port` or `@[ipv6]:port`.
    ///   `origin` and `tcp` are modes of a server only.
    package init(_ text: String, isServing: Bool = false) throws(ModeError) {
        var mode = text[...]
        if let at = text.lastIndex(of: "@"), !Self.isUserInformation(text, at) {
            mode = text[..<at]
            let address = text[text.index(after: at)...]
            if let port = UInt16(address) {
                listenPort = port
            } else if let endpoint = Endpoint(parsing: address, defaultPort: nil) {
                listenHost = endpoint.host
                listenPort = endpoint.port
            } else {
                throw ModeError(description: "mode '\(text)': '\(address)' is no address to listen on; write @port or @host:port")
            }
        }
        self.text = String(mode)
        if mode == "regular" {
            self.mode = .regular
        } else if mode == "socks5" {
            self.mode = .socks5
        } else if mode == "transparent" {
            self.mode = .transparent
        } else if mode == "origin", isServing {
            self.mode = .origin
        } else if mode == "tcp", isServing {
            self.mode = .stream
        } else if mode.hasPrefix("upstream:") {
            self.mode = .upstream(try Self.upstream(mode.dropFirst("upstream:".count), in: text))
        } else if mode.hasPrefix("reverse:") {
            self.mode = try Self.reverse(mode.dropFirst("reverse:".count), in: text)
        } else {
            throw ModeError(
                description:
                    "mode '\(text)' is not known; there are regular, reverse:PROTOCOL://host[:port], socks5, transparent and upstream:http[s]|socks5://[user:password@]host:port"
            )
        }
    }

    /// In `upstream:http://user:password@host:port` the last @ belongs to the proxy's URL if it is the only one after the slashes and
    /// more than a port follows it.
    private static func isUserInformation(_ text: String, _ at: String.Index) -> Bool {
        guard text.hasPrefix("upstream:"), UInt16(text[text.index(after: at)...]) == nil else { return false }
        return !text[..<at].contains("@") && text[..<at].split(separator: "/").last?.contains(":") == true
            && Endpoint(parsing: text[..<at].split(separator: "/").last ?? "", defaultPort: nil) == nil
    }

    private static func reverse(_ target: Substring, in text: String) throws(ModeError) -> ProxyMode {
        let known = ReverseProtocol.allCases.first { target.hasPrefix($0.rawValue + "://") }
        guard let server = known else {
            throw ModeError(
                description: "mode '\(text)': the server is written http://, https://, h2c://, tcp:// or tls://host[:port]")
        }
        var authority = target.dropFirst(server.rawValue.count + 3)
        if authority.hasSuffix("/") { authority = authority.dropLast() }
        let defaultPort: UInt16? = server.isTCP ? nil : server.isTLS ? 443 : 80
        guard let endpoint = Endpoint(parsing: authority, defaultPort: defaultPort) else {
            throw ModeError(description: "mode '\(text)': '\(authority)' is no host[:port]")
        }
        return .reverse(server, endpoint)
    }

    private static func upstream(_ target: Substring, in text: String) throws(ModeError) -> UpstreamProxy {
        let known = UpstreamProxy.Kind.allCases.first { target.hasPrefix($0.rawValue + "://") }
        guard let kind = known else {
            throw ModeError(
                description: "mode '\(text)': the proxy is written http://, https:// or socks5://[user:password@]host:port")
        }
        var authority = target.dropFirst(kind.rawValue.count + 3)
        if authority.hasSuffix("/") { authority = authority.dropLast() }
        var user: String?
        var password: String?
        if let at = authority.lastIndex(of: "@") {
            let pair = authority[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            user = pair[0]
            password = pair.count > 1 ? pair[1] : ""
            authority = authority[authority.index(after: at)...]
        }
        let defaultPort: UInt16? = kind == .socks5 ? 1080 : kind == .https ? 443 : 8080
        guard let endpoint = Endpoint(parsing: authority, defaultPort: defaultPort) else {
            throw ModeError(description: "mode '\(text)': '\(authority)' is no host[:port]")
        }
        return UpstreamProxy(kind: kind, endpoint: endpoint, user: user, password: password)
    }
}

extension Endpoint {
    /// Reads `host`, `host:port`, `[ipv6]` or `[ipv6]:port` (RFC 3986 §3.2), and where a port is mandatory `ipv6:port`: there what stands
    /// after the last colon can be nothing else.
    /// - Parameter defaultPort: used without a port; nil makes the port mandatory.
    package init?(parsing text: Substring, defaultPort: UInt16?) {
        var host = text
        var port = defaultPort
        if text.first == "[" {
            guard let end = text.firstIndex(of: "]") else { return nil }
            host = text[text.index(after: text.startIndex)..<end]
            let rest = text[text.index(after: end)...]
            if rest.first == ":", rest.count > 1 {
                guard let number = UInt16(rest.dropFirst()) else { return nil }
                port = number
            } else if !rest.isEmpty, rest != ":" {
                return nil
            }
        } else if let colon = text.lastIndex(of: ":") {
            host = text[..<colon]
            let digits = text[text.index(after: colon)...]
            if !digits.isEmpty {
                guard digits.utf8.allSatisfy({ $0 &- 0x30 < 10 }), let number = UInt16(digits) else { return nil }
                port = number
            }
        }
        let forbidden: (UInt8) -> Bool = { $0 <= 0x20 || $0 == 0x2F || $0 == 0x40 || $0 == 0x3F || $0 == 0x23 || $0 >= 0x7F }
        guard let port, !host.isEmpty, !host.utf8.contains(where: forbidden) else { return nil }
        if text.first != "[", host.utf8.contains(0x3A) {
            guard defaultPort == nil, (try? SocketAddress(ipAddress: String(host), port: 0)) != nil else { return nil }
        }
        self.init(host: String(host), port: port)
    }
}
