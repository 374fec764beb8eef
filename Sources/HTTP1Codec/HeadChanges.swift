// What an intermediary changes in a head that stays in HTTP/1 (RFC 9110 §7.6.1).

import HTTPSemantics
import NIOCore

/// The changes to the lines of a head: fields that Connection names are removed, and the framing is set. Options that each
/// hop uses in the same way stay as the sender wrote them: close, keep-alive, upgrade, te, http2-settings.
struct HeadChanges {
    /// Lines to remove, and lines with another value.
    var removed: [Int] = []
    var rewritten: [(line: Int, value: ByteBuffer)] = []
    /// The connection is not used again: `Connection: close` is sent.
    private var closes = false
    private var needsHTTP1_1 = false

    var isEmpty: Bool { removed.isEmpty && rewritten.isEmpty && !closes }

    init(_ fields: FieldSection, isRequest: Bool, keepsProxyAuthorization: Bool = true) {
        var next = fields.line("connection")
        var namesFields = false
        while let index = next {
            next = fields.line("connection", after: index)
            let value = fields.lines[index].value
            if Self.areHopByHop(value, in: fields.wire) { continue }
            namesFields = true
            let kept = fields.slice(value).listElements().filter { $0.isHopByHopOption(ByteRange(0, $0.readableBytes)) }
            if kept.isEmpty {
                removed.append(index)
            } else {
                rewritten.append((index, ByteBuffer(string: kept.map { String(buffer: $0) }.joined(separator: ", "))))
            }
        }
        if isRequest { removeAll("proxy-connection", of: fields) }
        if !keepsProxyAuthorization { removeAll("proxy-authorization", of: fields) }
        guard namesFields else { return }
        for name in fields.connectionOptions {
            for (index, line) in fields.lines.enumerated() where fields.slice(line.name).equalsIgnoringCase(name) {
                removed.append(index)
            }
        }
    }

    mutating func add(_ framing: FramingFields) {
        guard !framing.isEmpty else { return }
        removed += framing.removed
        rewritten += framing.replaced
        closes = framing.isAmbiguous
        needsHTTP1_1 = framing.needsHTTP1_1
    }

    func version(_ version: HTTPVersion) -> HTTPVersion { needsHTTP1_1 ? .http1_1 : version }

    /// RFC 9112 §9.6: a sender that will close the connection sends `close`.
    func writeEnd(into out: inout ByteBuffer) {
        if closes { out.writeStaticString("Connection: close\r\n") }
        out.writeStaticString("\r\n")
    }

    private mutating func removeAll(_ name: StaticString, of fields: FieldSection) {
        var next = fields.line(name)
        while let index = next {
            removed.append(index)
            next = fields.line(name, after: index)
        }
    }

    private static func areHopByHop(_ options: ByteRange, in wire: ByteBuffer) -> Bool {
        // Most lists have one element.
        if wire.isHopByHopOption(options) { return true }
        var rest = options
        while let option = wire.takeListElement(of: &rest) {
            if !wire.isHopByHopOption(option) { return false }
        }
        return true
    }

    /// Writes one line that stays, unchanged or with its changes.
    func write(_ line: FieldSection.Line, _ index: Int, of fields: FieldSection, into out: inout ByteBuffer) {
        if let (_, value) = rewritten.first(where: { $0.line == index }) {
            return HTTP1Encoder.writeField(fields.slice(line.name), value, into: &out)
        }
        guard fields.isCanonical else {
            // RFC 9112 §5.1: white space before the colon is not forwarded.
            let wire = fields.wire
            let bytes = wire.readableBytesUInt8Span
            var colon = Int(line.name.end)
            while colon < Int(line.value.start), bytes[colon] != 0x3A { colon += 1 }
            out.writeImmutableBuffer(fields.slice(line.name))
            fields.wire.slice(ByteRange(colon, Int(line.value.end))).writeUnfolded(into: &out)
            out.writeStaticString("\r\n")
            return
        }
        let next = index + 1 < fields.lines.count ? Int(fields.lines[index + 1].name.start) : fields.wire.readableBytes
        out.writeImmutableBuffer(fields.wire.slice(ByteRange(Int(line.name.start), next)))
    }
}
