// Four kinds of hosts, their resources, and connections to them with their cookies.

import FlowModel
import HTTPSemantics
import NIOCore

/// A resource that clients request repeatedly.
struct Resource {
    var method = "GET"
    /// `#` stands for a number, `$` for a word, `%` for a fingerprint.
    var path: String
    var status = 200
    var kind: DocumentKind?
    /// The content of the request.
    var sends: DocumentKind?
}

/// The purpose of a host.
enum Role: String, CaseIterable {
    case api, www, cdn, metrics

    /// The most requested first: they are chosen by Zipf's law.
    var resources: [Resource] {
        switch self {
        case .api:
            [
                Resource(path: "/v2/search?q=$&sort=relevance&page=#", kind: .products),
                Resource(path: "/v2/notifications?since=#", kind: .notifications),
                Resource(path: "/v2/users/#", kind: .user),
                Resource(path: "/v2/orders?customer=#&limit=20", kind: .orders),
                Resource(method: "POST", path: "/graphql", kind: .products, sends: .error),
                Resource(path: "/v2/products/#", kind: .products),
                Resource(method: "POST", path: "/v2/orders", status: 201, kind: .user, sends: .orders),
                Resource(path: "/v2/metrics/$?window=1h", kind: .measurements),
                Resource(method: "PUT", path: "/v2/users/#/preferences", status: 204, sends: .error),
                Resource(method: "OPTIONS", path: "/v2/orders", status: 204),
                Resource(method: "DELETE", path: "/v2/cart/items/#", status: 204),
                Resource(method: "PATCH", path: "/v2/orders/#", kind: .orders, sends: .error),
            ]
        case .www:
            [
                Resource(path: "/", kind: .page), Resource(path: "/products/$-#", kind: .page),
                Resource(path: "/search?q=$+$", kind: .page), Resource(path: "/p/#", status: 301),
                Resource(path: "/account/orders/#", kind: .page),
                Resource(method: "POST", path: "/login", status: 302, sends: .user),
                Resource(path: "/go?to=$", status: 302),
            ]
        case .cdn:
            [
                Resource(path: "/img/%.webp", kind: .image), Resource(path: "/assets/app.%.js", kind: .script),
                Resource(path: "/assets/site.%.css", kind: .style), Resource(path: "/media/%.mp4", status: 206, kind: .image),
            ]
        case .metrics: [Resource(method: "POST", path: "/collect?v=2&sid=#", status: 204, sends: .measurements)]
        }
    }
}

/// One host, with the properties that all connections to it share.
struct Site {
    let host: String
    let role: Role
    let address: Endpoint
    let isHTTP2: Bool
    let certificates: [ByteBuffer]

    private static let brands = [
        "shop", "news", "maps", "bank", "mail", "video", "travel", "games", "weather", "library", "garden", "school",
    ]
    static var brandCount: Int { brands.count }

    init(role: Role, brand: Int, issuer: ByteBuffer, _ random: inout SplitMix64) {
        self.role = role
        host = "\(role.rawValue).\(Self.brands[brand]).example"
        address = Endpoint(host: "192.0.2.\(1 + brand * 4 + Role.allCases.firstIndex(of: role)!)", port: 443)
        isHTTP2 = brand % 3 != 1
        certificates = [random.bytes(random.number(800..<1200)), issuer]
    }
}

/// A client's connection to a site through the recorder.
struct Link {
    private static let agents = [
        "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
        "okhttp/4.12.0", "python-requests/2.32.3",
    ]

    let client: Shared<ClientConnection>
    let server: Shared<ServerConnection>
    let isHTTP2: Bool
    let agent: String
    /// The value of Cookie; pages have many cookies.
    let cookies: String
    /// The value of Authorization for an API.
    let bearer: String
    private var exchanges: UInt32 = 0

    init(to site: Site, at now: Timestamp, _ random: inout SplitMix64) {
        let id = ConnectionID(time: now, sequence: UInt16(random.next() & 0xFFF), random: random.next())
        var tls = TLSDetails()
        tls.version = "TLSv1.3"
        tls.cipher = random.pick(["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"])
        tls.serverName = site.host
        tls.alpnOffers = ["h2", "http/1.1"]
        tls.alpn = site.isHTTP2 ? "h2" : "http/1.1"
        tls.isResumed = random.chance(500)
        tls.handshakeStarted = now
        tls.handshakeEnded = now.advanced(byNanoseconds: Int64(random.number(1_000_000..<40_000_000)))
        var facing = tls
        facing.ja3 = random.hexadecimal(16) + random.hexadecimal(16)
        facing.ja4 = "t13d1516h2_\(random.hexadecimal(12))_\(random.hexadecimal(12))"
        client = Shared(
            ClientConnection(
                id: id, peer: Endpoint(host: "127.0.0.1", port: UInt16(random.number(32_768..<60_999))),
                local: Endpoint(host: "127.0.0.1", port: 8080), opened: now, mode: "regular", tls: facing))
        tls.isVerified = true
        tls.certificates = site.certificates
        var upstream = ServerConnection(
            id: ConnectionID(high: id.high, low: id.low ^ 1), target: Endpoint(host: site.host, port: 443), opened: now)
        upstream.peer = site.address
        upstream.connected = now.advanced(byNanoseconds: 800_000)
        upstream.tls = tls
        server = Shared(upstream)
        isHTTP2 = site.isHTTP2
        agent = random.pick(Self.agents)
        cookies = Self.cookies(site.role, &random)
        bearer = "Bearer eyJhbGciOiJFUzI1NiJ9." + random.token(site.role == .api ? 4 : 1)
    }

    private static func cookies(_ role: Role, _ random: inout SplitMix64) -> String {
        guard role == .www else { return "sid=\(random.token(2))" }
        let known = [
            "_ga", "_gid", "csrftoken", "basket", "consent", "ab_bucket", "locale", "theme", "last_seen", "ref", "segment", "uid",
        ]
        return
            (["sid=\(random.token(4))"]
            + known.prefix(random.number(2..<13)).map { "\($0)=\(random.token(1 + random.number(0..<2)))" })
            .joined(separator: "; ")
    }

    /// The stream of the next exchange.
    mutating func nextStream() -> StreamID {
        exchanges += 1
        return StreamID(isHTTP2 ? exchanges * 2 - 1 : exchanges)
    }
}
