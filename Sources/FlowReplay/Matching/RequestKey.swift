// Requests are matched by method, host, path, query in any order, and content. The first four form a key that is hashed once for
// each recording; content is compared only among requests with the same key.

import FlowModel
import HTTPSemantics
import NIOCore

/// Names whose values differ each time and have no meaning: cache busters, trace ids, signatures.
package struct VolatileNames: Sendable, Equatable {
    /// Names of query parameters in lower case.
    package var query: Set<String> = []
    /// Beginnings of such names.
    package var queryPrefixes: [String] = []

    package init() {}

    /// The names in common use.
    package static let usual = VolatileNames(parsing: String(decoding: PackageResources.volatile_query_txt, as: UTF8.self))

    /// - Parameter text: one name per line; a trailing `*` matches any ending; `#` begins a comment.
    package init(parsing text: String) {
        for line in text.split(whereSeparator: \.isNewline) {
            let name = line.prefix { $0 != "#" }.trimmed.lowercased()
            if name.isEmpty { continue }
            if name.hasSuffix("*") { queryPrefixes.append(String(name.dropLast())) } else { query.insert(name) }
        }
    }

    func contains(_ name: String) -> Bool {
        guard !query.isEmpty || !queryPrefixes.isEmpty else { return false }
        let lower = name.lowercased()
        return query.contains(lower) || queryPrefixes.contains { lower.hasPrefix($0) }
    }
}

extension Substring {
    fileprivate var trimmed: Substring {
        var text = self
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return text
    }
}

/// How content is compared.
package enum BodyMatching: String, Sendable, CaseIterable {
    /// JSON and forms by meaning, if the media type names them; everything else byte by byte.
    case auto
    case exact
    case json
    case form
    case none
}

/// How a request is matched with recorded ones.
package struct MatchRules: Sendable, Equatable {
    package var ignore = IgnoreRules()
    package var volatile = VolatileNames()
    package var body = BodyMatching.auto
    /// Fields that must be equal, names in lower case.
    package var headers: [String] = []

    package init() {}
}

/// The key of a request: hashes of its parts.
package struct RequestKey: Sendable, Hashable {
    var method: UInt32
    var host: UInt32
    /// 64 bits, because a recording may have millions of paths, or of queries to one path; it has few methods and hosts.
    var path: UInt64
    var query: UInt64
    /// Sketches of path and query: near requests differ in few bits.
    var shape: UInt64

    /// One number for the dictionary. Requests with the same number are distinguished by the parts; those that agree in all four
    /// are considered equal.
    var combined: UInt64 {
        var hash = ByteHash()
        hash.add(UInt64(method) << 32 | UInt64(host))
        hash.add(path)
        hash.add(query)
        return hash.value
    }

    /// - Parameters:
    ///   - method: nil for a request that switches to another protocol, by Upgrade or by extended CONNECT (RFC 8441).
    ///   - host: without port.
    ///   - target: the request-target as written, in origin or absolute form.
    package init(method: ByteBuffer?, host: ByteBuffer, target: ByteBuffer, _ rules: MatchRules) {
        self.method = method.map { UInt32(truncatingIfNeeded: ByteHash.of($0)) } ?? 0
        var place = ByteHash()
        if !rules.ignore.host { place.addLowercased(host) }
        self.host = UInt32(truncatingIfNeeded: place.mixed)
        let (path, query) = target.pathAndQuery
        self.path = ByteHash.of(path)
        shape = PathShape.bits(of: path)
        self.query = 0
        if !rules.ignore.query { add(query: query, rules) }
    }

    /// Adds up the parameters, so that their order does not matter.
    private mutating func add(query: ByteBuffer, _ rules: MatchRules) {
        guard query.readableBytes > 0 else { return }
        var (sum, bits): (UInt64, UInt64) = (0, 0)
        query.forEachParameter { name, whole in
            if !rules.ignore.queryNames.isEmpty || !rules.volatile.query.isEmpty || !rules.volatile.queryPrefixes.isEmpty {
                let text = String(buffer: name.formDecoded)
                if rules.ignore.queryNames.contains(text) || rules.volatile.contains(text) { return }
            }
            guard whole.readableBytes > 0 else { return }
            let hash = ByteHash.of(whole)
            sum &+= hash
            bits |= PathShape.bit(ofParameter: hash)
        }
        (self.query, shape) = (sum, shape | bits)
    }
}

/// FNV-1a over bytes.
struct ByteHash {
    private(set) var value: UInt64 = 0xCBF2_9CE4_8422_2325

    mutating func add(_ byte: UInt8) { value = (value ^ UInt64(byte)) &* 0x100_0000_01B3 }

    mutating func add(_ number: UInt64) {
        for shift in stride(from: UInt64(0), to: 64, by: 8) { add(UInt8(truncatingIfNeeded: number >> shift)) }
    }

    mutating func add(_ bytes: ByteBuffer) {
        let span = bytes.readableBytesUInt8Span
        for index in 0..<span.count { add(span[index]) }
    }

    mutating func addLowercased(_ bytes: ByteBuffer) {
        let span = bytes.readableBytesUInt8Span
        for index in 0..<span.count { add(span[index] &- 0x41 < 26 ? span[index] | 0x20 : span[index]) }
    }

    /// With a final mixing step, because the low bits of FNV depend on few input bits.
    var mixed: UInt64 {
        var mixed = value
        mixed ^= mixed >> 32
        mixed = mixed &* 0xD6E8_FEB8_6659_FD93
        return mixed ^ mixed >> 32
    }

    static func of(_ bytes: ByteBuffer) -> UInt64 {
        var hash = ByteHash()
        hash.add(bytes)
        return hash.mixed
    }
}
