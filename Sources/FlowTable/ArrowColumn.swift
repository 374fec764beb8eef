// The columns of an Arrow stream: those of a table, the place of a flow in its file, and, when they are named, heads, bodies and messages.

import ArrowStream
import FlowFilter
import FlowModel
import HTTPSemantics
import NIOCore

/// A column of `--format arrow`.
package enum ArrowColumn: Sendable, Hashable {
    case key(FlowKey)
    case place(Place)
    case content(Content)

    /// Where a flow is stored.
    package enum Place: String, Sendable, CaseIterable {
        /// The name of the file as it was given; null for standard input.
        case file
        /// Of the block with the flow's last part.
        case blockOffset = "block_offset"
        case partCount = "part_count"
    }

    /// What is not read unless it is named.
    package enum Content: String, Sendable, CaseIterable {
        case requestHeaders = "req_headers"
        case responseHeaders = "resp_headers"
        /// Bodies without content codings, up to a limit, and whether that is all of them.
        case requestBody = "req_body"
        case requestBodyComplete = "req_body_complete"
        case responseBody = "resp_body"
        case responseBodyComplete = "resp_body_complete"
        /// Of a WebSocket, or the data of a TCP stream.
        case messages
    }

    /// The columns without `--columns`: all but the content.
    package static let defaults: [ArrowColumn] =
        FlowColumn.allCases.map { .key(.column($0)) } + Place.allCases.map { .place($0) }

    /// - Throws: a sentence about what is wrong, with the nearest name.
    package init(_ name: String) throws(TableError) {
        if let place = Place(rawValue: name) {
            self = .place(place)
        } else if let content = Content(rawValue: name) {
            self = .content(content)
        } else {
            do { self = .key(try FlowKey(name)) } catch {
                let others = Place.allCases.map(\.rawValue) + Content.allCases.map(\.rawValue)
                guard let nearest = nearestWord(to: name, in: others) else { throw error }
                throw TableError("there is no column '\(name)'; did you mean '\(nearest)'?")
            }
        }
    }

    /// The names of a list, at commas that are not in brackets.
    /// - Throws: a sentence about what is wrong.
    package static func list(_ text: String) throws(TableError) -> [ArrowColumn] {
        var columns: [ArrowColumn] = []
        for name in text.splitAtCommas() {
            guard !name.isEmpty else { throw TableError("'\(text)' has an empty name; write the names with commas between them") }
            let column = try ArrowColumn(name)
            guard !columns.contains(column) else { throw TableError("the column '\(name)' is there twice; name it once") }
            columns.append(column)
        }
        return columns
    }

    package var name: String {
        switch self {
        case .key(let key): key.name
        case .place(let place): place.rawValue
        case .content(let content): content.rawValue
        }
    }

    /// It needs the content of flows, not only their records and heads.
    var needsFlow: Bool {
        switch self {
        case .key, .place, .content(.requestHeaders), .content(.responseHeaders): false
        case .content: true
        }
    }

    var field: ArrowField {
        switch self {
        case .key(.column(let column)): ArrowField(name, column.arrowType, isNullable: !column.isAlwaysKnown)
        case .key(.size): ArrowField(name, .int64)
        case .key(.header), .key(.json): ArrowField(name, .utf8)
        case .place(.file): ArrowField(name, .dictionary)
        case .place(.blockOffset): ArrowField(name, .int64)
        case .place(.partCount): ArrowField(name, .int32)
        case .content(.requestHeaders), .content(.responseHeaders):
            ArrowField(
                name,
                .list(
                    ArrowField(
                        "item",
                        .structure([ArrowField("name", .utf8, isNullable: false), ArrowField("value", .utf8, isNullable: false)]),
                        isNullable: false)))
        case .content(.requestBody), .content(.responseBody): ArrowField(name, .binary)
        case .content(.requestBodyComplete), .content(.responseBodyComplete): ArrowField(name, .bool)
        case .content(.messages): ArrowField(name, .list(ArrowField("item", .structure(Self.messageFields), isNullable: false)))
        }
    }

    /// The words are those of JSON Lines. The content of a damaged message is null.
    private static let messageFields = [
        ArrowField("at", .time, isNullable: false), ArrowField("from", .utf8, isNullable: false),
        ArrowField("opcode", .utf8, isNullable: false), ArrowField("size", .int64, isNullable: false),
        ArrowField("content", .binary), ArrowField("complete", .bool, isNullable: false),
    ]
}

extension FlowColumn {
    fileprivate var arrowType: ArrowType {
        switch self {
        case .host, .method, .requestType, .responseType: .dictionary
        case .tags: .list(ArrowField("item", .utf8, isNullable: false))
        // The largest signed types that every engine has: Spark has no unsigned numbers.
        case .port, .status: .int32
        default:
            switch kind {
            case .text: .utf8
            case .number, .size, .duration: .int64
            case .time: .time
            }
        }
    }

    /// Every flow has it.
    fileprivate var isAlwaysKnown: Bool {
        switch self {
        case .id, .kind, .state, .started: true
        default: false
        }
    }
}
