// The Content-Length and Transfer-Encoding of a forwarded message. Whatever was received, the written message has one length that every
// recipient reads in the same way (RFC 9112 §6.1, §6.3; RFC 9110 §8.6). With Transfer-Encoding there is no Content-Length, and chunked is
// named once and last, on one line; without it Content-Length is one number on one line.

import HTTPSemantics
import NIOCore

/// The changes to the lines of a section that decide where its message ends.
package struct FramingFields {
    /// Lines to remove, and lines that get another value.
    package private(set) var removed: [Int] = []
    package private(set) var replaced: [(line: Int, value: ByteBuffer)] = []
    /// Two recipients could have found different ends of the received message: the connection is not used again
    /// (RFC 9112 §6.1: "close the connection after responding to such a request").
    package private(set) var isAmbiguous = false
    /// Transfer-Encoding is sent, which HTTP/1.0 does not have.
    package private(set) var needsHTTP1_1 = false

    package var isEmpty: Bool { removed.isEmpty && replaced.isEmpty && !isAmbiguous && !needsHTTP1_1 }

    /// - Parameters:
    ///   - framing: how the recipient finds the end of the content.
    ///   - version: of the received message.
    @inline(__always)
    package init(_ fields: FieldSection, _ framing: BodyFraming, version: HTTPVersion, isRequest: Bool) {
        let coding = fields.line("transfer-encoding")
        let length = fields.line("content-length")
        if coding == nil {
            guard let length else { return }
            if fields.line("content-length", after: length) == nil, Self.isPlain(fields, length, framing, isRequest) { return }
        }
        if let coding, length == nil, framing == .chunked, version == .http1_1, fields.isNothingButChunked(coding) { return }
        change(fields, framing, version, isRequest, coding: coding, length: length)
    }

    /// Whether a line already has the digits of the framing, as most do.
    private static func isPlain(_ fields: FieldSection, _ line: Int, _ framing: BodyFraming, _ isRequest: Bool) -> Bool {
        let range = fields.lines[line].value
        let wire = fields.wire
        let bytes = wire.readableBytesUInt8Span
        guard 1...18 ~= range.count, bytes[Int(range.start)] != 0x30 || range.count == 1 else { return false }
        var number: UInt64 = 0
        for i in Int(range.start)..<Int(range.end) {
            guard bytes[i] &- 0x30 < 10 else { return false }
            number = number * 10 + UInt64(bytes[i] &- 0x30)
        }
        return switch framing {
        case .length(let length): length == number
        case .none: !isRequest || number == 0
        case .stream: true
        case .chunked, .untilClose, .tunnel: false
        }
    }

    private mutating func change(
        _ fields: FieldSection, _ framing: BodyFraming, _ version: HTTPVersion, _ isRequest: Bool, coding: Int?, length: Int?
    ) {
        guard framing != .tunnel else { return }
        let isCoded: Bool =
            switch framing {
            case .chunked, .untilClose: coding != nil
            // A response to HEAD may declare the length of the content that it leaves out.
            case .none: coding != nil && !isRequest
            case .length, .stream, .tunnel: false
            }
        if coding != nil, version.major < 2 {
            isAmbiguous = length != nil || version == .http1_0 || !isCoded
            needsHTTP1_1 = isCoded && version == .http1_0
        }
        if let coding { change(codings: fields, from: coding, isCoded: isCoded, isChunked: framing == .chunked) }
        guard let length else { return }
        let number: UInt64? =
            switch framing {
            case .length(let length): length
            case .none, .stream: isCoded ? nil : fields.contentLength
            case .chunked, .untilClose, .tunnel: nil
            }
        // RFC 9110 §8.6: a request without content has the length 0.
        let isTrue = !(isRequest && framing == .none) || number == 0
        change(length: fields, from: length, to: isTrue ? number : nil)
    }

    private mutating func change(codings fields: FieldSection, from first: Int, isCoded: Bool, isChunked: Bool) {
        let lines = Self.lines("transfer-encoding", of: fields, from: first)
        guard isCoded else {
            removed += lines
            return
        }
        let elements = fields.transferCodings
        let chunked = elements.filter { $0.equalsIgnoringCase("chunked") }
        var kept = elements
        if isChunked || elements.last?.equalsIgnoringCase("chunked") == true {
            kept = elements.filter { !$0.equalsIgnoringCase("chunked") } + [chunked.last ?? ByteBuffer(string: "chunked")]
        }
        if chunked.count > 1 { isAmbiguous = true }
        let value = kept.isEmpty ? nil : ByteBuffer(string: kept.map { String(buffer: $0) }.joined(separator: ", "))
        if lines.count == 1, kept == elements, value != nil, !fields.slice(fields.lines[first].value).hasEmptyElement { return }
        replace(lines, with: value)
    }

    private mutating func change(length fields: FieldSection, from first: Int, to number: UInt64?) {
        let lines = Self.lines("content-length", of: fields, from: first)
        let value = number.map { ByteBuffer(string: "\($0)") }
        if lines.count == 1, let value, fields.slice(fields.lines[first].value) == value { return }
        replace(lines, with: value)
    }

    private mutating func replace(_ lines: [Int], with value: ByteBuffer?) {
        guard let value else {
            removed += lines
            return
        }
        replaced.append((lines[0], value))
        removed += lines.dropFirst()
    }

    private static func lines(_ name: StaticString, of fields: FieldSection, from first: Int) -> [Int] {
        var lines: [Int] = []
        var next: Int? = first
        while let index = next {
            lines.append(index)
            next = fields.line(name, after: index)
        }
        return lines
    }
}

extension ByteBuffer {
    fileprivate var hasEmptyElement: Bool {
        betweenCommas(ByteRange(0, readableBytes)).contains { $0.isEmpty }
    }
}

extension FieldSection {
    /// Whether a line of Transfer-Encoding is the only one and has chunked alone, as most do.
    fileprivate func isNothingButChunked(_ line: Int) -> Bool {
        wire.equalsIgnoringCase(lines[line].value, "chunked") && self.line("transfer-encoding", after: line) == nil
    }
}
