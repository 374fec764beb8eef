// Generates exchanges, one after the other. Bodies come from a pool; everything else is new for each.

import FlowModel
import HTTPSemantics
import NIOCore

/// An endless sequence of generated traffic. The same seed gives the same traffic.
package struct Traffic {
    /// The time of the first exchange.
    package static let start = Timestamp(nanoseconds: 1_760_000_000_000_000_000)

    /// A text that few bodies contain, for searches.
    package static let literal = "zebra crossing"

    private var random: SplitMix64
    private var now = Traffic.start
    private let vocabulary = Vocabulary()
    private let pool: BodyPool
    private var sites: [[Site]] = []
    private var links: [[Link]] = []
    private let brands = Zipf(Site.brandCount)
    private let resources = Role.allCases.map { $0.resources }
    private let ranks = Role.allCases.map { Zipf($0.resources.count) }

    /// - Parameter isUncoded: no body has a content coding.
    package init(seed: UInt64, isUncoded: Bool = false) {
        var random = SplitMix64(seed: seed)
        pool = BodyPool(isUncoded: isUncoded, &random)
        let issuers = (0..<3).map { _ in random.bytes(1100) }
        for role in Role.allCases {
            let sites = (0..<Site.brandCount).map { Site(role: role, brand: $0, issuer: issuers[$0 % 3], &random) }
            links.append(sites.map { Link(to: $0, at: Traffic.start, &random) })
            self.sites.append(sites)
        }
        self.random = random
    }

    /// One exchange that is being generated.
    private struct Exchange {
        var site: Site
        var link: Link
        var resource: Resource
        var status: Int
        var path: String
        /// Content-Type, also of a response to HEAD.
        var kind: DocumentKind?
        var sends: ByteBuffer?
        var body: Body?
    }

    /// The events of the next exchange.
    package mutating func next() -> [FlowEvent] {
        now = now.advanced(byNanoseconds: Int64(random.number(10_000..<900_000)))
        let (exchange, stream) = nextExchange()
        let id = FlowID(time: now, sequence: UInt16(random.next() & 0xFFF), random: random.next())
        let version: HTTPVersion = exchange.link.isHTTP2 ? .http2 : .http1_1
        var events: [FlowEvent] = []
        events.reserveCapacity(9)
        let began = now
        func say(_ offset: Int64, _ what: FlowEvent.What) {
            events.append(FlowEvent(flow: id, at: began.advanced(byNanoseconds: offset), what: what))
        }
        let target = FlowTarget(scheme: "https", host: exchange.site.host, port: 443)
        say(0, .opened(FlowOpening(kind: .http, client: exchange.link.client, target: target, stream: stream)))
        say(0, .server(exchange.link.server))
        say(0, .request(RequestHead(parsing: requestHead(exchange), version: version)))
        if let content = exchange.sends { say(20_000, .piece(FlowPiece(from: .client, content: content))) }
        say(20_000, .finished(.client))
        let wait = Int64(random.number(300_000..<40_000_000))
        say(wait, .response(ResponseHead(parsing: responseHead(exchange), version: version)))
        if let content = exchange.body?.content, content.readableBytes > 0 {
            say(wait + 50_000, .piece(FlowPiece(from: .server, content: content)))
        }
        say(wait + 60_000, .finished(.server))
        say(wait + 60_000, .ended(FlowEnding(state: .complete)))
        return events
    }

    private mutating func nextExchange() -> (Exchange, StreamID) {
        let roll = random.number(0..<100)
        let role = roll < 56 ? 0 : roll < 70 ? 1 : roll < 94 ? 2 : 3
        let brand = brands.pick(&random)
        // A connection is used for about forty exchanges.
        if random.chance(25) { links[role][brand] = Link(to: sites[role][brand], at: now, &random) }
        let stream = links[role][brand].nextStream()
        let resource = resources[role][ranks[role].pick(&random)]
        var exchange = Exchange(
            site: sites[role][brand], link: links[role][brand], resource: resource, status: status(of: resource),
            path: path(of: resource))
        exchange.sends = resource.sends.map { pool.plain($0, &random) }
        switch exchange.status {
        case 204, 304, 301, 302: exchange.kind = nil
        case 400...: exchange.kind = .error
        default: exchange.kind = resource.kind
        }
        exchange.body = exchange.kind.map { pool.pick($0, &random) }
        return (exchange, stream)
    }

    /// One response in fifty is a 500; others fail in other ways; cacheable resources are often not modified.
    private mutating func status(of resource: Resource) -> Int {
        switch random.number(0..<1000) {
        case ..<20: 500
        case ..<32: 404
        case ..<38: 401
        case ..<42: 429
        case ..<46: 503
        case ..<250 where [.script, .style, .image].contains(resource.kind) && resource.status == 200: 304
        default: resource.status
        }
    }

    private mutating func path(of resource: Resource) -> String {
        var path = ""
        for character in resource.path {
            switch character {
            case "#": path += "\(random.number(1..<3_000_000))"
            case "$": path += vocabulary.word(&random)
            case "%": path += random.hexadecimal(10)
            default: path.append(character)
            }
        }
        return path
    }

    // MARK: Heads

    private mutating func requestHead(_ exchange: Exchange) -> ByteBuffer {
        let (site, link) = (exchange.site, exchange.link)
        var head = HeadText.request(exchange.resource.method, exchange.path, host: site.host, isHTTP2: link.isHTTP2)
        head.field("User-Agent", link.agent)
        let origin = "https://www.\(site.host.drop { $0 != "." }.dropFirst())"
        switch site.role {
        case .api:
            head.field("Accept", "application/json")
            head.field("Authorization", link.bearer)
            head.field("X-Request-Id", random.uuid())
        case .www:
            head.field("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8")
            head.field("Accept-Language", "en-GB,en;q=0.7,fr;q=0.3")
            head.field("Upgrade-Insecure-Requests", "1")
            head.field("Sec-Fetch-Mode", "navigate")
        case .cdn:
            head.field("Accept", exchange.resource.kind == .image ? "image/avif,image/webp,*/*" : "*/*")
            head.field("Referer", origin + "/")
            if exchange.status == 304 { head.field("If-None-Match", "\"\(random.hexadecimal(16))\"") }
            if exchange.status == 206 { head.field("Range", "bytes=0-") }
        case .metrics:
            head.field("Accept", "*/*")
            head.field("Origin", origin)
        }
        head.field("Accept-Encoding", "gzip, deflate, br, zstd")
        if site.role == .www || site.role == .metrics { head.field("Cookie", link.cookies) }
        if let content = exchange.sends {
            head.field("Content-Type", "application/json")
            head.field("Content-Length", "\(content.readableBytes)")
        }
        if !link.isHTTP2 { head.field("Connection", "keep-alive") }
        return head.finished()
    }

    private mutating func responseHead(_ exchange: Exchange) -> ByteBuffer {
        let (site, status) = (exchange.site, exchange.status)
        var head = HeadText.response(status, isHTTP2: exchange.link.isHTTP2)
        head.field("Date", httpDate(nanoseconds: now.nanoseconds))
        head.field("Server", site.role == .cdn ? "cache" : "nginx")
        if let kind = exchange.kind { head.field("Content-Type", kind.mediaType) }
        if let coding = exchange.body?.coding {
            head.field("Content-Encoding", coding)
            head.field("Vary", "Accept-Encoding")
        }
        let size = exchange.body?.content.readableBytes ?? 0
        if exchange.kind == .page, exchange.body?.coding != nil, !exchange.link.isHTTP2 {
            head.field("Transfer-Encoding", "chunked")
        } else if status != 204, status != 304 {
            head.field("Content-Length", "\(size)")
        }
        if status == 206 { head.field("Content-Range", "bytes 0-\(size - 1)/\(size * random.number(2..<90))") }
        if status == 301 || status == 302 {
            head.field("Location", "https://\(site.host)/products/\(vocabulary.word(&random))-\(random.number(1..<3_000_000))")
        }
        if site.role == .cdn {
            head.field("ETag", "\"\(random.hexadecimal(16))\"")
            head.field("Cache-Control", "public, max-age=31536000, immutable")
            head.field("Age", "\(random.number(0..<90_000))")
            head.field("Via", "1.1 edge-\(random.number(1..<30))")
        } else {
            head.field("Cache-Control", "no-store")
            head.field("X-Trace-Id", random.hexadecimal(16))
        }
        switch site.role {
        case .api:
            head.field("X-RateLimit-Remaining", "\(random.number(0..<5000))")
            head.field("Access-Control-Allow-Origin", "*")
        case .www:
            head.field("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
            head.field("Content-Security-Policy", "default-src 'self'; img-src 'self' https: data:; frame-ancestors 'none'")
            for name in ["sid", "csrftoken", "last_seen"].prefix(random.number(0..<4)) {
                head.field("Set-Cookie", "\(name)=\(random.token(2)); Path=/; Max-Age=2592000; Secure; HttpOnly; SameSite=Lax")
            }
        case .cdn, .metrics: break
        }
        return head.finished()
    }
}
