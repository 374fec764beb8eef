// The operators with a name in brackets and an optional VALUE: ~hs[content-type] json, ~query[page] >5, ~cookie[session].

import FlowModel
import HTTPSemantics
import NIOCore

/// Texts of a flow that have names.
enum NamedText: Equatable {
    /// Header fields of a side, or of both: each line by itself. Names have no case (RFC 9110 §5.1).
    case field(Side?)
    /// Trailer fields of both sides.
    case trailer
    /// Parameters of the query, decoded.
    case query
    /// Cookies that the client sent or the server set.
    case cookie
    /// Tags: `name`, or `name:value`.
    case tag
    /// Rules of redaction that changed the flow; the value is the part of the flow.
    case redaction

    /// What is written in brackets, for messages.
    var noun: String {
        switch self {
        case .field: "the name of a header field"
        case .trailer: "the name of a trailer field"
        case .query: "the name of a parameter of the query"
        case .cookie: "the name of a cookie"
        case .tag: "a tag"
        case .redaction: "a rule of redaction"
        }
    }

    /// Whether one of the texts with the name passes.
    /// - Throws: a match that takes too many steps.
    func matches(_ flow: some FlowAttributes, _ name: ParameterName, _ test: ValueTest) throws -> Bool {
        switch self {
        case .field(let side):
            if side != .server, try Self.contains(flow.requestFields, name, test) { return true }
            return side != .client ? try Self.contains(flow.responseFields, name, test) : false
        case .trailer:
            return try Self.contains(flow.trailers(from: .client), name, test)
                || Self.contains(flow.trailers(from: .server), name, test)
        case .query: return try Self.query(of: flow, name, test)
        case .cookie: return try Self.cookies(of: flow, name, test)
        case .tag: return try Self.tags(of: flow, name, test)
        case .redaction: return try Self.redaction(of: flow, name, test)
        }
    }

    /// False only when no flow of the block has such texts.
    func mayMatch(_ block: some BlockSummary) -> Bool {
        switch self {
        case .field, .trailer, .query, .cookie: block.mayContain(.http)
        case .tag, .redaction: true
        }
    }

    private static func contains(_ fields: FieldSection?, _ name: ParameterName, _ test: ValueTest) throws -> Bool {
        var isFound = false
        try fields?.forEachValue(of: name.lowercased) { value in
            isFound = try test.accepts(value)
            return !isFound
        }
        return isFound
    }

    private static func query(of flow: some FlowAttributes, _ name: ParameterName, _ test: ValueTest) throws -> Bool {
        var isFound = false
        try flow.requestTarget?.pathAndQuery.query.forEachParameter { written, whole in
            guard !isFound, written.formDecoded == ByteBuffer(string: name.text) else { return }
            let value = whole.slice(ByteRange(min(written.readableBytes + 1, whole.readableBytes), whole.readableBytes))
            isFound = try test.accepts(value.formDecoded)
        }
        return isFound
    }

    /// Cookies of a request stand in one line or several, with `;` between them (RFC 6265 §4.2.1); a response sets one with each line.
    private static func cookies(of flow: some FlowAttributes, _ name: ParameterName, _ test: ValueTest) throws -> Bool {
        for line in flow.requestFields?.all("cookie") ?? [] {
            for pair in line.readableBytesView.split(separator: 0x3B) where try accepts(cookie: pair, name, test) { return true }
        }
        for line in flow.responseFields?.all("set-cookie") ?? [] {
            if try accepts(cookie: line.readableBytesView.prefix { $0 != 0x3B }, name, test) { return true }
        }
        return false
    }

    private static func accepts(cookie pair: ByteBufferView, _ name: ParameterName, _ test: ValueTest) throws -> Bool {
        let equals = pair.firstIndex(of: 0x3D) ?? pair.endIndex
        guard trimmed(pair[..<equals]).elementsEqual(name.text.utf8) else { return false }
        return try test.accepts(ByteBuffer(trimmed(pair[equals...].dropFirst())))
    }

    private static func trimmed(_ text: ByteBufferView) -> ByteBufferView {
        var text = text
        while let first = text.first, first == 0x20 || first == 0x09 { text = text.dropFirst() }
        while let last = text.last, last == 0x20 || last == 0x09 { text = text.dropLast() }
        return text
    }

    /// A rule has the name when that is its text, or the beginning of it up to a colon or an equals sign.
    private static func redaction(of flow: some FlowAttributes, _ name: ParameterName, _ test: ValueTest) throws -> Bool {
        guard let redaction = flow.redaction else { return false }
        func accepts(_ rule: String, _ place: FlowRedaction.Place) throws -> Bool {
            guard rule.utf8.starts(with: name.text.utf8) else { return false }
            let next = rule.utf8.dropFirst(name.text.utf8.count).first
            guard next == nil || next == UInt8(ascii: ":") || next == UInt8(ascii: "=") else { return false }
            return try test.accepts(ByteBuffer(string: place.description))
        }
        return try redaction.changes.contains { try accepts($0.rule, $0.place) }
            || redaction.omissions.contains { try accepts($0.rule, $0.place) }
    }

    /// The value of a tag is what stands after the name and a colon.
    private static func tags(of flow: some FlowAttributes, _ name: ParameterName, _ test: ValueTest) throws -> Bool {
        guard flow.isTagged else { return false }
        return try flow.tagTexts.contains { tag in
            let bytes = tag.readableBytesView
            guard bytes.starts(with: name.text.utf8) else { return false }
            let rest = bytes.dropFirst(name.text.utf8.count)
            guard rest.isEmpty || rest.first == 0x3A else { return false }
            return try test.accepts(ByteBuffer(rest.dropFirst()))
        }
    }
}
