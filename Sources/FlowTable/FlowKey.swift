// What a table can show of a flow, and sort and group by: a column, or a value that is named by a parameter. This file parses their names.

import FlowFilter
import FlowModel
import HTTPSemantics
import NIOCore

/// A column, or a value with a parameter.
package enum FlowKey: Sendable, Hashable {
    case column(FlowColumn)
    /// Bytes of both sides together.
    case size
    /// The values of a header field: of the response, or of the request when the response has none. Several are joined by commas
    /// (RFC 9110 section 5.3).
    case header(HeaderName)
    /// The first value at a path in a body.
    case json(JSONKey)

    /// The name of a header field.
    package struct HeaderName: Sendable, Hashable {
        /// In lower case.
        let bytes: ByteBuffer

        init(_ name: String) { bytes = ByteBuffer(string: name.lowercased()) }
    }

    /// Names that stand for a column in options.
    private static let aliases: [String: FlowKey] = [
        "duration": .column(.duration), "ttfb": .column(.timeToFirstByte), "size": .size,
    ]

    /// All names that have no parameter.
    package static var names: [String] { FlowColumn.allCases.map(\.rawValue) + aliases.keys.sorted() }

    /// - Throws: a sentence about what is wrong, with the nearest name.
    package init(_ name: String) throws(TableError) {
        if let column = FlowColumn(rawValue: name) {
            self = .column(column)
        } else if let known = Self.aliases[name] {
            self = known
        } else if name.hasPrefix("header:") {
            let header = name.dropFirst("header:".count)
            guard !header.isEmpty, header.utf8.allSatisfy(\.isFieldNameByte) else {
                throw TableError("'\(name)' needs the name of a header field, for example header:user-agent")
            }
            self = .header(HeaderName(String(header)))
        } else if name.hasPrefix("~json") {
            self = .json(try JSONKey(name))
        } else {
            let nearest = nearestWord(to: name, in: Self.names + ["header:"])
            let hint =
                nearest.map { "did you mean '\($0)'?" }
                ?? "the columns are \(Self.names.joined(separator: ", ")), header:NAME and ~json[PATH]"
            throw TableError("there is no column '\(name)'; \(hint)")
        }
    }

    /// The names of a list, at commas that are not in brackets.
    /// - Throws: a sentence about what is wrong.
    package static func list(_ text: String) throws(TableError) -> [FlowKey] {
        var keys: [FlowKey] = []
        for name in text.splitAtCommas() {
            guard !name.isEmpty else { throw TableError("'\(text)' has an empty name; write the names with commas between them") }
            keys.append(try FlowKey(name))
        }
        return keys
    }

    /// The heading of its column.
    package var name: String {
        switch self {
        case .column(let column): column.rawValue
        case .size: "size"
        case .header(let name): "header:\(String(buffer: name.bytes))"
        case .json(let key): key.name
        }
    }

    package var kind: FlowColumn.Kind {
        switch self {
        case .column(let column): column.kind
        case .size: .size
        case .header, .json: .text
        }
    }

    /// - Throws: what fetching content throws.
    package func value(of flow: some FlowAttributes) throws -> FlowValue {
        switch self {
        case .column(let column): return try column.value(of: flow)
        case .size:
            let (client, server) = (try flow.contentSize(from: .client), try flow.contentSize(from: .server))
            return client == nil && server == nil ? .none : FlowValue((client ?? 0) &+ (server ?? 0))
        case .header(let name):
            return FlowValue(flow.responseFields?.joined(name) ?? flow.requestFields?.joined(name))
        case .json(let key): return try key.value(of: flow)
        }
    }
}

/// A mistake in what was asked of a table, in one sentence.
package struct TableError: Error, Sendable, Equatable, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }
}

extension FieldSection {
    /// The values of all fields with a name, joined by commas; nil without one.
    fileprivate func joined(_ name: FlowKey.HeaderName) -> ByteBuffer? {
        var joined: ByteBuffer?
        for line in lines where line.name.count == name.bytes.readableBytes {
            guard wire.slice(line.name).equalsIgnoringCase(name.bytes) else { continue }
            let value = wire.slice(line.value)
            if joined == nil {
                joined = value
            } else {
                joined?.writeStaticString(", ")
                joined?.writeImmutableBuffer(value)
            }
        }
        return joined
    }
}

extension UInt8 {
    /// A tchar of RFC 9110 section 5.6.2.
    fileprivate var isFieldNameByte: Bool {
        switch self {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "!#$%&'*+-.^_`|~".utf8.contains(self)
        }
    }
}

extension String {
    /// The parts between commas that stand outside of brackets, parentheses and quotes, without spaces around them.
    func splitAtCommas() -> [String] {
        var parts = [""]
        var depth = 0
        var quote: Character?
        for character in self {
            switch character {
            case _ where character == quote: quote = nil
            case "'", "\"": if depth > 0, quote == nil { quote = character }
            case "[", "(": if quote == nil { depth += 1 }
            case "]", ")": if quote == nil { depth -= 1 }
            case "," where depth <= 0:
                parts.append("")
                continue
            default: break
            }
            parts[parts.count - 1].append(character)
        }
        return parts.map { part in
            let start = part.drop { $0 == " " }
            return String(start.reversed().drop { $0 == " " }.reversed())
        }
    }
}
