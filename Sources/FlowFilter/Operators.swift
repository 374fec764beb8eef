// The operators of the filter language, one row each: name, what it compares, when that is final, its cost, and its line of help.

import FlowModel

/// What an operator compares, and so the argument that it takes.
enum FilterOperand: Sendable {
    case property(FlowProperty)
    /// A regular expression, compiled with these options.
    case text(FlowText, PatternSyntax)
    case url
    case status
    case number(FlowNumber, QuantityRange.Unit)
}

/// How the regular expression of an operator is compiled.
enum PatternSyntax: Sendable {
    case plain
    /// `^` and `$` match at lines.
    case lines
    /// `.` matches line ends.
    case content
}

/// The moment of a recording from which the answer of an operator does not change.
enum Availability {
    case opening
    case request
    case requestContent
    case response
    case responseContent
    case end
}

struct FilterOperator: Sendable {
    /// With its tilde.
    let name: String
    let operand: FilterOperand
    let availability: Availability
    /// Relative cost; cheaper terms are evaluated first. Content is 9.
    let cost: Int
    let help: String

    init(_ name: String, _ operand: FilterOperand, _ availability: Availability, cost: Int, _ help: String) {
        self.name = name
        self.operand = operand
        self.availability = availability
        self.cost = cost
        self.help = help
    }

    static let all: [FilterOperator] = [
        FilterOperator("~a", .property(.asset), .response, cost: 3, "response is an asset: scripts, style sheets, images, fonts"),
        FilterOperator("~all", .property(.any), .opening, cost: 0, "every flow"),
        FilterOperator("~b", .text(.content(nil), .content), .end, cost: 9, "decoded body, or a message"),
        FilterOperator(
            "~bq", .text(.content(.client), .content), .end, cost: 9, "decoded request body, or a message from the client"),
        FilterOperator(
            "~bs", .text(.content(.server), .content), .end, cost: 9, "decoded response body, or a message from the server"),
        FilterOperator("~c", .status, .response, cost: 1, "status code: 404, 4xx, 200-299, >=500, <300"),
        FilterOperator("~comment", .text(.comment, .lines), .end, cost: 2, "comment"),
        FilterOperator("~d", .text(.host, .plain), .request, cost: 3, "host"),
        FilterOperator("~dns", .property(.notRecorded), .opening, cost: 0, "DNS flows: not recorded, matches nothing"),
        FilterOperator("~dst", .text(.serverAddress, .plain), .response, cost: 4, "server address, host:port"),
        FilterOperator(
            "~duration", .number(.duration, .time), .end, cost: 1,
            "time from start to end: >250ms, 1s-2s; us, ms, s (without a unit), m, h, d"),
        FilterOperator("~e", .property(.error), .end, cost: 1, "flows with an error"),
        FilterOperator("~error", .text(.error, .plain), .end, cost: 2, "message of the error"),
        FilterOperator("~h", .text(.fields(nil), .lines), .response, cost: 5, "header fields, as lines 'name: value'"),
        FilterOperator("~h3offered", .property(.offersHTTP3), .response, cost: 4, "response offers HTTP/3 in Alt-Svc"),
        FilterOperator("~hq", .text(.fields(.client), .lines), .request, cost: 5, "request header fields"),
        FilterOperator("~hs", .text(.fields(.server), .lines), .response, cost: 5, "response header fields"),
        FilterOperator("~http", .property(.kind(.http)), .opening, cost: 1, "HTTP flows, including WebSocket"),
        FilterOperator("~id", .text(.id, .plain), .opening, cost: 4, "identifier"),
        FilterOperator("~incomplete", .property(.incomplete), .end, cost: 1, "flows that were cut off or have not ended"),
        FilterOperator("~local", .property(.localReply), .end, cost: 1, "flows that the recorder answered itself"),
        FilterOperator("~m", .text(.method, .plain), .request, cost: 2, "method"),
        FilterOperator("~marked", .property(.tagged), .end, cost: 1, "flows that have a tag"),
        FilterOperator("~marker", .text(.notRecorded, .plain), .opening, cost: 0, "marker: not recorded, matches nothing"),
        FilterOperator(
            "~messages", .number(.messages, .one), .end, cost: 9,
            "number of WebSocket messages or pieces of a TCP stream: 3, >10, 2-5"),
        FilterOperator("~meta", .text(.notRecorded, .lines), .opening, cost: 0, "metadata: not recorded, matches nothing"),
        FilterOperator("~note", .text(.note, .plain), .end, cost: 6, "notes: unusual things that did not end the flow"),
        FilterOperator("~q", .property(.hasNoResponse), .end, cost: 1, "requests without a response from a server"),
        FilterOperator("~replay", .property(.notRecorded), .opening, cost: 0, "replayed flows: not recorded, matches nothing"),
        FilterOperator("~replayq", .property(.notRecorded), .opening, cost: 0, "replayed requests: not recorded, matches nothing"),
        FilterOperator("~replays", .property(.notRecorded), .opening, cost: 0, "replayed responses: not recorded, matches nothing"),
        FilterOperator("~s", .property(.hasResponse), .response, cost: 1, "flows with a response from a server"),
        FilterOperator("~src", .text(.clientAddress, .plain), .opening, cost: 4, "client address, ip:port"),
        FilterOperator("~t", .text(.contentType(nil), .plain), .response, cost: 4, "Content-Type of request or response"),
        FilterOperator("~tcp", .property(.kind(.tcp)), .opening, cost: 1, "TCP flows"),
        FilterOperator("~tq", .text(.contentType(.client), .plain), .request, cost: 4, "Content-Type of the request"),
        FilterOperator("~ts", .text(.contentType(.server), .plain), .response, cost: 4, "Content-Type of the response"),
        FilterOperator("~u", .url, .request, cost: 4, "URL; a bare regular expression is the same"),
        FilterOperator("~udp", .property(.notRecorded), .opening, cost: 0, "UDP flows: not recorded, matches nothing"),
        FilterOperator("~websocket", .property(.webSocket), .end, cost: 1, "WebSocket flows"),
    ]

    static func named(_ name: String) -> FilterOperator? { all.first { $0.name == name } }
    static let url = named("~u")!
}

/// The list of operators, a line each, for `--help-filter` and the documentation.
package func filterHelp() -> String {
    let rows = FilterOperator.all.map { row -> (String, String) in
        switch row.operand {
        case .property: (row.name, row.help)
        case .text, .url: (row.name + " REGEX", row.help)
        case .status: (row.name + " CODE", row.help)
        case .number(_, .one): (row.name + " N", row.help)
        case .number(_, .time): (row.name + " TIME", row.help)
        }
    }
    let width = rows.map(\.0.count).max() ?? 0
    let table = rows.map { "  " + $0.0 + String(repeating: " ", count: width - $0.0.count + 2) + $0.1 }
    return
        (table + [
            "", "  !X, not X     not", "  X & Y, X Y    and", "  X | Y         or", "  ( X )         grouping",
            "", "  Regular expressions are PCRE2 and case-insensitive. Quote them when they contain spaces, parentheses or quotes.",
            "  Juxtaposition means 'and' and binds looser than '|': ~u a | ~u b ~u c is (a or b) and c.",
        ]).joined(separator: "\n") + "\n"
}
