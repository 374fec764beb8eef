// The operators of the filter language, one row each: name, argument, what it asks, and the line that explains it.

import FlowModel

/// What an operator takes.
enum OperatorArgument {
    case none
    /// A regular expression, read with these options.
    case pattern(multiline: Bool, dotMatchesAll: Bool)
    case status
    case quantity(QuantityRange.Unit)
}

/// What an operator needs to know of a flow before it can answer for certain.
enum Certainty {
    /// Known from the start.
    case opening
    case request
    case requestContent
    case response
    case responseContent
    case end
}

struct FilterOperator {
    /// With its tilde.
    var name: String
    var argument: OperatorArgument
    var question: Question
    var certainty: Certainty
    var help: String
    /// What it costs to answer: cheaper questions are asked first.
    var cost: Int

    init(_ name: String, _ argument: OperatorArgument, _ question: Question, _ certainty: Certainty, cost: Int, _ help: String) {
        self.name = name
        self.argument = argument
        self.question = question
        self.certainty = certainty
        self.cost = cost
        self.help = help
    }

    private static let plain = OperatorArgument.pattern(multiline: false, dotMatchesAll: false)
    private static let lines = OperatorArgument.pattern(multiline: true, dotMatchesAll: false)
    private static let content = OperatorArgument.pattern(multiline: false, dotMatchesAll: true)

    static let all: [FilterOperator] = [
        FilterOperator("~a", .none, .asset, .response, cost: 3, "response is an asset: scripts, style sheets, images, fonts"),
        FilterOperator("~all", .none, .all, .opening, cost: 0, "every flow"),
        FilterOperator("~b", content, .content(nil), .end, cost: 9, "decoded body, or a message"),
        FilterOperator("~bq", content, .content(.client), .end, cost: 9, "decoded request body, or a message from the client"),
        FilterOperator("~bs", content, .content(.server), .end, cost: 9, "decoded response body, or a message from the server"),
        FilterOperator("~c", .status, .status, .response, cost: 1, "status code: 404, 4xx, 200-299, >=500, <300"),
        FilterOperator("~comment", lines, .comment, .end, cost: 2, "comment"),
        FilterOperator("~d", plain, .host, .request, cost: 3, "host"),
        FilterOperator("~dns", .none, .none, .opening, cost: 0, "DNS flows: not recorded, matches nothing"),
        FilterOperator("~dst", plain, .destination, .response, cost: 4, "server address, host:port"),
        FilterOperator(
            "~duration", .quantity(.time), .duration, .end, cost: 1, "time from start to end: >250ms, 1s-2s; us, ms, s, m, h"),
        FilterOperator("~e", .none, .error, .end, cost: 1, "flows with an error"),
        FilterOperator("~error", plain, .errorMessage, .end, cost: 2, "message of the error"),
        FilterOperator("~h", lines, .fields(nil), .response, cost: 5, "header fields, as lines 'name: value'"),
        FilterOperator("~hq", lines, .fields(.client), .request, cost: 5, "request header fields"),
        FilterOperator("~hs", lines, .fields(.server), .response, cost: 5, "response header fields"),
        FilterOperator("~http", .none, .kind(.http), .opening, cost: 1, "HTTP flows, WebSocket among them"),
        FilterOperator("~id", plain, .id, .opening, cost: 4, "identifier"),
        FilterOperator("~incomplete", .none, .incomplete, .end, cost: 1, "flows that were cut, or had not ended"),
        FilterOperator("~local", .none, .localReply, .end, cost: 1, "flows that the recorder answered itself"),
        FilterOperator("~m", plain, .method, .request, cost: 2, "method"),
        FilterOperator("~marked", .none, .marked, .end, cost: 1, "flows that have a tag"),
        FilterOperator("~marker", plain, .none, .opening, cost: 0, "marker: not recorded, matches nothing"),
        FilterOperator(
            "~messages", .quantity(.one), .messages, .end, cost: 9,
            "number of WebSocket messages or pieces of a TCP stream: 3, >10, 2-5"),
        FilterOperator("~meta", lines, .none, .opening, cost: 0, "metadata: not recorded, matches nothing"),
        FilterOperator("~note", plain, .note, .end, cost: 6, "notes: what was unusual and passed all the same"),
        FilterOperator("~q", .none, .hasNoResponse, .end, cost: 1, "requests without a response of a server"),
        FilterOperator("~replay", .none, .none, .opening, cost: 0, "replayed flows: not told apart, matches nothing"),
        FilterOperator("~replayq", .none, .none, .opening, cost: 0, "replayed requests: not told apart, matches nothing"),
        FilterOperator("~replays", .none, .none, .opening, cost: 0, "replayed responses: not told apart, matches nothing"),
        FilterOperator("~s", .none, .hasResponse, .response, cost: 1, "flows with a response of a server"),
        FilterOperator("~src", plain, .source, .opening, cost: 4, "client address, ip:port"),
        FilterOperator("~t", plain, .contentType(nil), .response, cost: 4, "Content-Type of request or response"),
        FilterOperator("~tcp", .none, .kind(.tcp), .opening, cost: 1, "TCP flows"),
        FilterOperator("~tq", plain, .contentType(.client), .request, cost: 4, "Content-Type of the request"),
        FilterOperator("~ts", plain, .contentType(.server), .response, cost: 4, "Content-Type of the response"),
        FilterOperator("~u", plain, .url, .request, cost: 4, "URL; a bare regular expression is the same"),
        FilterOperator("~udp", .none, .none, .opening, cost: 0, "UDP flows: not recorded, matches nothing"),
        FilterOperator("~websocket", .none, .webSocket, .end, cost: 1, "WebSocket flows"),
    ]

    static func named(_ name: String) -> FilterOperator? { all.first { $0.name == name } }
    static let url = named("~u")!
}

/// The list of operators, a line each, for `--help-filter` and the documentation.
package func filterHelp() -> String {
    let rows = FilterOperator.all.map { row -> (String, String) in
        switch row.argument {
        case .none: (row.name, row.help)
        case .pattern: (row.name + " REGEX", row.help)
        case .status: (row.name + " CODE", row.help)
        case .quantity(.one): (row.name + " N", row.help)
        case .quantity(.time): (row.name + " TIME", row.help)
        }
    }
    let width = rows.map(\.0.count).max() ?? 0
    let table = rows.map { "  " + $0.0 + String(repeating: " ", count: width - $0.0.count + 2) + $0.1 }
    return
        (table + [
            "", "  !X, not X     not", "  X & Y, X Y    and", "  X | Y         or", "  ( X )         grouping",
            "", "  Regular expressions are PCRE2, without regard to case. Quote them when they hold spaces, parentheses or quotes.",
            "  Words side by side mean 'and', which binds looser than '|' there: ~u a | ~u b ~u c is (a or b) and c.",
        ]).joined(separator: "\n") + "\n"
}
