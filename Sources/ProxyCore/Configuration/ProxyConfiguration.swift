// The settings that all sessions of one listener share.

import FlowModel
import HTTP1Codec
import HTTP2Codec
import NIOCore
import Synchronization
import TLSEngine

/// How a listener's clients name their server.
package enum ProxyMode: Sendable, Hashable {
    /// A forward proxy: absolute-form requests and CONNECT.
    case regular
    /// In front of one server. Clients may use TLS or not, HTTP/1 or HTTP/2, independently of the server.
    case reverse(ReverseProtocol, Endpoint)
    /// A SOCKS 5 server (RFC 1928).
    case socks5
    /// Connections that the system redirected to us (iptables REDIRECT), with their original destination.
    case transparent
    /// In place of the servers: clients connect to it directly, with TLS or without, and name the host in the request.
    case origin
    /// Streams of bytes, in TLS or not.
    case stream
    /// A forward proxy that reaches servers through another one.
    case upstream(UpstreamProxy)

    /// The recorder's own page, http://mitm.it, is shown: clients choose their servers themselves.
    var offersOnboarding: Bool {
        switch self {
        case .regular, .upstream, .socks5, .transparent: true
        case .reverse, .origin, .stream: false
        }
    }
}

/// The protocol of a reverse proxy's server.
package enum ReverseProtocol: String, Sendable, CaseIterable {
    case http
    /// TLS; HTTP/1 or HTTP/2 as the server chooses from what the client offers.
    case https
    /// HTTP/2 without TLS, with prior knowledge (RFC 9113 §3.3).
    case h2c
    /// Bytes.
    case tcp
    /// Bytes in TLS.
    case tls

    package var isTLS: Bool { self == .https || self == .tls }
    var isTCP: Bool { self == .tcp || self == .tls }
}

/// When the upstream connection is opened.
package enum ConnectionStrategy: String, Sendable, CaseIterable {
    /// As soon as the server is known, so that its certificate and its choice of protocol can be mirrored.
    case eager
    /// Only when a request must go there.
    case lazy
}

/// How pings and pongs are handled.
package enum WebSocketPings: String, Sendable, CaseIterable {
    /// We answer pings ourselves.
    case answer
    /// They are relayed from end to end.
    case relay
}

/// What clients get of offers of HTTP/3 in Alt-Svc fields, which no proxy of TCP can record.
package enum AltSvcPolicy: String, Sendable, CaseIterable {
    /// They are forwarded.
    case keep
    /// They are taken out. The recording has them.
    case strip
}

/// Time limits of a session, in nanoseconds.
package struct SessionTimeouts: Sendable {
    /// Idle timeout. Ten minutes, the default of other proxies, so long polling survives.
    package var idle: Int64 = 600_000_000_000
    /// A TLS handshake, or a head that has begun. Browsers wait a minute.
    package var handshake: Int64 = 60_000_000_000
    /// Time that a connection that we closed waits for the peer's FIN, so that the last bytes are not lost (RFC 9112 §9.6).
    package var linger: Int64 = 2_000_000_000

    package init() {}
}

/// The addresses to which nothing is forwarded: those that the recorder itself listens on, known when all listeners are bound, and that of
/// its view. A request for a listener would loop; one for the view would come from a client that must not reach it.
package final class OwnAddresses: Sendable {
    package enum Owner: Sendable {
        case listener
        case view
    }

    private struct Own {
        let endpoint: Endpoint
        let owner: Owner

        var isWildcard: Bool { endpoint.host == "0.0.0.0" || endpoint.host == "::" }

        /// - Parameter host: in lower case, without a final point.
        func isReached(by host: Substring, port: UInt16) -> Bool {
            guard endpoint.port == port else { return false }
            let isLoopbackName =
                host == "localhost" || host.hasSuffix(".localhost") || host.hasPrefix("127.") || host == "::1"
            return endpoint.host == host
                || (isLoopbackName && (isWildcard || endpoint.host.hasPrefix("127.") || endpoint.host == "::1"))
        }
    }

    private let own = Mutex<[Own]>([])

    package init() {}

    package func add(_ endpoint: Endpoint, of owner: Owner = .listener) {
        own.withLock { $0.append(Own(endpoint: endpoint, owner: owner)) }
    }

    /// To whom connecting to this endpoint would lead; nil for an address that is not our own. Names are not looked up; `localhost` and all
    /// names below it are known (RFC 6761 §6.3), and IPv4 addresses within IPv6 (RFC 4291 §2.5.5.2).
    package func owner(of endpoint: Endpoint) -> Owner? {
        let name = endpoint.host.lowercased()
        let mapped = name.hasPrefix("::ffff:") && name.contains(".") ? name.dropFirst("::ffff:".count) : name[...]
        let host = mapped.hasSuffix(".") ? mapped.dropLast() : mapped
        return own.withLock { own in own.first { $0.isReached(by: host, port: endpoint.port) }?.owner }
    }

    package func contains(_ endpoint: Endpoint) -> Bool { owner(of: endpoint) != nil }

    /// To whom an established connection leads: a listener on all addresses can be reached by any of this machine's, and then both ends have
    /// the same address.
    func owner(of peer: Endpoint, from local: Endpoint) -> Owner? {
        if let owner = owner(of: peer) { return owner }
        guard peer.host == local.host else { return nil }
        return own.withLock { own in own.first { $0.endpoint.port == peer.port && $0.isWildcard }?.owner }
    }
}

/// Settings of the sessions of one listener. Made once, shared by all.
package final class ProxyConfiguration: Sendable {
    package let mode: ProxyMode
    /// The mode as it was written on the command line; recorded with each client connection.
    package let modeText: String
    package let strategy: ConnectionStrategy
    /// Reverse mode: leave the Host field as the client wrote it.
    package let keepsHostHeader: Bool
    /// The value of Host and :authority in reverse mode; nil leaves them unchanged.
    let reverseAuthority: ByteBuffer?
    package let serverTLS: TLSServerContext
    package let clientTLS: TLSClientContext
    /// HTTP/2 is offered and accepted.
    package let allowsHTTP2: Bool
    package let http2Limits: HTTP2Limits
    package let http2Validation: HTTP2Validation
    /// PRIORITY and PRIORITY_UPDATE frames are forwarded to the server.
    package let forwardsPriority: Bool
    package let webSocketPings: WebSocketPings
    package let altSvc: AltSvcPolicy
    package let hosts: HostPolicy
    /// Forward proxy and SOCKS: the logins that may use it; nil requires none.
    package let credentials: CredentialCheck?
    /// Clients with public addresses are refused.
    package let blocksGlobal: Bool
    /// The authority's certificate, offered at http://mitm.it and https://mitm.it.
    package let authority: CertificateAuthority
    package let limits: HTTP1Limits
    package let validation: HTTP1Validation
    /// Largest content of a message in bytes; nil is no limit. A request beyond it is answered 413, a response 502.
    package let maximumBodySize: UInt64?
    package let timeouts: SessionTimeouts
    package let ownAddresses: OwnAddresses
    /// Answers in place of servers; nil contacts them.
    package let responder: (any Responder)?
    /// Flow events are made.
    package let isRecording: Bool
    /// Change the events of each flow before they are recorded.
    package let recordStages: FlowEventStages
    /// The event log shows content: not what a stage keeps out of the recording.
    var logsContent: Bool { recordStages.isEmpty }
    /// Lines of the event log below this level are not made.
    package let lowestLogLevel: LogLine.Level

    /// The proxy on the path to servers.
    var upstreamProxy: UpstreamProxy? {
        if case .upstream(let proxy) = mode { proxy } else { nil }
    }

    package init(
        mode: ProxyMode, modeText: String, strategy: ConnectionStrategy = .eager, keepsHostHeader: Bool = false,
        serverTLS: TLSServerContext, clientTLS: TLSClientContext, authority: CertificateAuthority,
        limits: HTTP1Limits = HTTP1Limits(),
        validation: HTTP1Validation = .strict, allowsHTTP2: Bool = true, http2Limits: HTTP2Limits = HTTP2Limits(),
        http2Validation: HTTP2Validation = .strict, forwardsPriority: Bool = false, webSocketPings: WebSocketPings = .answer,
        altSvc: AltSvcPolicy = .keep,
        hosts: HostPolicy = HostPolicy(), credentials: CredentialCheck? = nil, blocksGlobal: Bool = true,
        maximumBodySize: UInt64? = nil,
        timeouts: SessionTimeouts = SessionTimeouts(),
        ownAddresses: OwnAddresses, responder: (any Responder)? = nil, isRecording: Bool = true,
        recordStages: FlowEventStages = FlowEventStages(), lowestLogLevel: LogLine.Level = .info
    ) {
        self.mode = mode
        self.modeText = modeText
        self.strategy = strategy
        self.keepsHostHeader = keepsHostHeader
        if case .reverse(let server, let endpoint) = mode, !keepsHostHeader {
            let isDefault = endpoint.port == (server.isTLS ? 443 : 80)
            reverseAuthority = ByteBuffer(string: isDefault ? Endpoint.hostInURI(endpoint.host) : endpoint.description)
        } else {
            reverseAuthority = nil
        }
        self.serverTLS = serverTLS
        self.clientTLS = clientTLS
        self.authority = authority
        self.limits = limits
        self.validation = validation
        self.allowsHTTP2 = allowsHTTP2
        self.http2Limits = http2Limits
        self.http2Validation = http2Validation
        self.forwardsPriority = forwardsPriority
        self.webSocketPings = webSocketPings
        self.altSvc = altSvc
        self.hosts = hosts
        self.credentials = credentials
        self.blocksGlobal = blocksGlobal
        self.maximumBodySize = maximumBodySize
        self.timeouts = timeouts
        self.ownAddresses = ownAddresses
        self.responder = responder
        self.isRecording = isRecording
        self.recordStages = recordStages
        self.lowestLogLevel = lowestLogLevel
    }
}
