// Heads of requests and responses (RFC 9110 §6, RFC 9112 §3 and §4, RFC 9113 §8.3): the bytes as received, and the ranges of their parts. A
// head of HTTP/1 is everything from the start-line through the empty line. A head of HTTP/2 is stored as one `name: value` line for each
// field, pseudo-fields first, in the order received, and an empty line.

import NIOCore

/// The protocol version of a message.
package struct HTTPVersion: Sendable, Hashable, CustomStringConvertible {
    package var major: UInt8
    package var minor: UInt8

    package init(major: UInt8, minor: UInt8) {
        self.major = major
        self.minor = minor
    }

    package static let http1_0 = HTTPVersion(major: 1, minor: 0)
    package static let http1_1 = HTTPVersion(major: 1, minor: 1)
    package static let http2 = HTTPVersion(major: 2, minor: 0)

    /// `HTTP/1.1`, and `HTTP/2` for HTTP/2, as the field writes them.
    package var description: String { major >= 2 ? "HTTP/\(major)" : "HTTP/\(major).\(minor)" }
}

/// The head of a request. Immutable; an object, since events, exchanges and records pass it on many times.
package final class RequestHead: Sendable {
    /// The whole head as received, with the empty line that ends it.
    package let wire: ByteBuffer
    package let version: HTTPVersion
    /// Ranges in ``wire``. The target is the request-target as it was written (RFC 9112 §3.2), for HTTP/2 the value of `:path`.
    package let methodRange: ByteRange
    package let targetRange: ByteRange
    /// HTTP/2 only: the values of `:scheme` and `:authority`; empty ranges when absent.
    package let schemeRange: ByteRange
    package let authorityRange: ByteRange
    /// The field lines without pseudo-fields; shares storage with ``wire``.
    package let fields: FieldSection
    /// The protocol that it asks to change to.
    package let upgrade: UpgradeProtocol?

    /// For a codec that has found the parts.
    package init(
        wire: ByteBuffer, version: HTTPVersion, method: ByteRange, target: ByteRange, scheme: ByteRange = .empty,
        authority: ByteRange = .empty, fields: FieldSection, upgrade: UpgradeProtocol? = nil
    ) {
        self.wire = wire
        self.version = version
        self.methodRange = method
        self.targetRange = target
        self.schemeRange = scheme
        self.authorityRange = authority
        self.fields = fields
        self.upgrade = upgrade
    }

    /// Finds the parts of a head that was received before: tolerant, never fails; missing parts are empty.
    /// - Parameters:
    ///   - wire: a head in the form of its version, described at the top of this file.
    ///   - version: HTTP/2 selects the form; for HTTP/1 the version in the start-line has precedence.
    package convenience init(parsing wire: ByteBuffer, version: HTTPVersion) {
        if version.major >= 2 {
            let all = FieldSection(parsing: wire)
            let pseudo = all.lines.prefix { wire.slice($0.name).readableBytesView.first == 0x3A }
            func found(_ name: StaticString) -> ByteRange? {
                pseudo.first { wire.equalsIgnoringCase($0.name, name) }?.value
            }
            func value(_ name: StaticString) -> ByteRange { found(name) ?? .empty }
            let method = value(":method")
            let asked = wire.equals(method, "CONNECT") ? found(":protocol") : nil
            self.init(
                wire: wire, version: version, method: method, target: value(":path"), scheme: value(":scheme"),
                authority: value(":authority"), fields: Self.fields(of: all, from: pseudo.count),
                upgrade: asked.map { UpgradeProtocol(wire, protocolValue: $0) })
        } else {
            let line = StartLine(parsing: wire)
            let method = line.words.first ?? .empty
            var target = line.words.count > 1 ? line.words[1] : .empty
            let named = line.words.count > 2 ? HTTPVersion(parsing: wire.slice(line.words[line.words.count - 1])) : nil
            // Spaces inside a target are the sender's error; the last word is the version only if it has that form.
            if line.words.count > 2 { target.end = line.words[line.words.count - (named == nil ? 1 : 2)].end }
            let fields = FieldSection(parsing: wire.slice(ByteRange(line.end, wire.readableBytes)))
            self.init(
                wire: wire, version: named ?? version, method: method, target: target, fields: fields,
                upgrade: UpgradeProtocol(wire, method, named ?? version, fields))
        }
    }

    package var method: ByteBuffer { wire.slice(methodRange) }
    package var target: ByteBuffer { wire.slice(targetRange) }
    package var scheme: ByteBuffer { wire.slice(schemeRange) }
    package var authority: ByteBuffer { wire.slice(authorityRange) }

    /// Methods are case-sensitive (RFC 9110 §9.1), so `get` is not GET.
    package func isMethod(_ method: StaticString) -> Bool {
        wire.equals(methodRange, method)
    }
}

/// The head of a response, interim or final. Immutable, and an object as ``RequestHead``.
package final class ResponseHead: Sendable {
    /// The whole head as received, with the empty line that ends it.
    package let wire: ByteBuffer
    package let version: HTTPVersion
    /// 100 to 999; 0 if a recorded head has no readable status.
    package let status: Int
    /// A range in ``wire``; empty if the reason phrase is, and for HTTP/2.
    package let reasonRange: ByteRange
    /// The field lines without pseudo-fields; shares storage with ``wire``.
    package let fields: FieldSection

    /// For a codec that has found the parts.
    package init(wire: ByteBuffer, version: HTTPVersion, status: Int, reason: ByteRange, fields: FieldSection) {
        self.wire = wire
        self.version = version
        self.status = status
        self.reasonRange = reason
        self.fields = fields
    }

    /// Finds the parts of a head that was received before: tolerant, never fails.
    package convenience init(parsing wire: ByteBuffer, version: HTTPVersion) {
        if version.major >= 2 {
            let all = FieldSection(parsing: wire)
            let pseudo = all.lines.prefix { wire.slice($0.name).readableBytesView.first == 0x3A }
            let status = pseudo.first { wire.equalsIgnoringCase($0.name, ":status") }.map { wire.slice($0.value) }
            self.init(
                wire: wire, version: version, status: status.flatMap { Self.status(of: $0) } ?? 0, reason: .empty,
                fields: RequestHead.fields(of: all, from: pseudo.count))
        } else {
            let line = StartLine(parsing: wire)
            let named = line.words.first.flatMap { HTTPVersion(parsing: wire.slice($0)) }
            let status = line.words.count > 1 ? Int(String(buffer: wire.slice(line.words[1]))) ?? 0 : 0
            let reason = line.words.count > 2 ? ByteRange(Int(line.words[2].start), line.textEnd) : .empty
            let rest = wire.slice(ByteRange(line.end, wire.readableBytes))
            self.init(
                wire: wire, version: named ?? version, status: status, reason: reason, fields: FieldSection(parsing: rest))
        }
    }

    /// The value of :status; nil if it is not valid. Some servers append the reason phrase of HTTP/1, which is not ambiguous.
    package static func status(of field: ByteBuffer) -> Int? {
        let bytes = field.readableBytesUInt8Span
        guard bytes.count == 3 || bytes.count > 3 && bytes[3] == 0x20 else { return nil }
        var status = 0
        for index in 0..<3 {
            let digit = bytes[index] &- 0x30
            guard digit < 10 else { return nil }
            status = status * 10 + Int(digit)
        }
        return status
    }

    package var reason: ByteBuffer { wire.slice(reasonRange) }
    /// 1xx: another response follows (RFC 9110 §15.2). 101 is the last response of HTTP/1: another protocol follows.
    package var isInterim: Bool { status >= 100 && status < 200 && status != 101 }
}

extension RequestHead: Equatable {
    package static func == (a: RequestHead, b: RequestHead) -> Bool {
        a === b
            || a.wire == b.wire && a.version == b.version && a.fields == b.fields && a.upgrade == b.upgrade
                && (a.methodRange, a.targetRange, a.schemeRange, a.authorityRange)
                    == (b.methodRange, b.targetRange, b.schemeRange, b.authorityRange)
    }
}

extension ResponseHead: Equatable {
    package static func == (a: ResponseHead, b: ResponseHead) -> Bool {
        a === b
            || a.wire == b.wire && a.version == b.version && a.status == b.status && a.reasonRange == b.reasonRange
                && a.fields == b.fields
    }
}

extension RequestHead {
    /// The lines from an index, with ranges relative to the slice that begins at the first of them.
    static func fields(of all: FieldSection, from first: Int) -> FieldSection {
        guard first < all.lines.count else { return FieldSection() }
        let start = all.lines[first].name.start
        let wire = all.wire.slice(ByteRange(Int(start), all.wire.readableBytes))
        return FieldSection(
            wire: wire,
            lines: all.lines[first...].map { line in
                FieldSection.Line(
                    name: ByteRange(Int(line.name.start - start), Int(line.name.end - start)),
                    value: ByteRange(Int(line.value.start - start), Int(line.value.end - start)))
            })
    }
}

extension HTTPVersion {
    /// `HTTP/1.1` and the like: one digit, a dot, one digit (RFC 9112 §2.3); nil for anything else.
    package init?(parsing text: ByteBuffer) {
        let bytes = text.readableBytesUInt8Span
        guard bytes.count == 8, text.equalsIgnoringCase(ByteRange(0, 5), "http/"), bytes[6] == 0x2E,
            bytes[5] &- 0x30 < 10, bytes[7] &- 0x30 < 10
        else { return nil }
        self.init(major: bytes[5] &- 0x30, minor: bytes[7] &- 0x30)
    }
}

/// The words of a start-line, read tolerantly.
private struct StartLine {
    var words: [ByteRange] = []
    /// Offset after the text, and after the line end.
    var textEnd = 0
    var end = 0

    init(parsing wire: ByteBuffer) {
        let bytes = wire.readableBytesUInt8Span
        words.reserveCapacity(4)
        // RFC 9112 §2.2: empty lines before a request-line are skipped.
        while end < bytes.count, bytes[end] == 0x0D || bytes[end] == 0x0A { end += 1 }
        var start = end
        while end < bytes.count, bytes[end] != 0x0A {
            if bytes[end] == 0x20 {
                if end > start { words.append(ByteRange(start, end)) }
                start = end + 1
            }
            end += 1
        }
        textEnd = end > start && bytes[end - 1] == 0x0D ? end - 1 : end
        if textEnd > start { words.append(ByteRange(start, textEnd)) }
        end = min(end + 1, bytes.count)
    }
}

extension ByteBuffer {
    /// Whether the bytes of a range equal a word, case-sensitive.
    @inlinable @inline(__always) package func equals(_ range: ByteRange, _ word: StaticString) -> Bool {
        // The length decides most comparisons, without a call.
        range.count == word.utf8CodeUnitCount && isSame(range, word)
    }

    @usableFromInline func isSame(_ range: ByteRange, _ word: StaticString) -> Bool {
        guard Int(range.end) <= readableBytes else { return false }
        return unsafe withUnsafeReadableBytes { bytes in
            guard let base = bytes.baseAddress else { return range.isEmpty }
            return unsafe areSame(base + Int(range.start), word.utf8Start, range.count)
        }
    }
}
