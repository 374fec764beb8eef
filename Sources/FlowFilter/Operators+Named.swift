// The operators with a name in brackets and an optional VALUE.

import FlowModel

extension FilterOperator {
    static let named: [FilterOperator] = [
        FilterOperator(
            "~cookie", .named(.cookie), .response, cost: 6, "cookie that the client sent or the server set"),
        FilterOperator("~h", .named(.field(nil)), .response, cost: 5, "header field of request or response, each line by itself"),
        FilterOperator("~hq", .named(.field(.client)), .request, cost: 5, "header field of the request"),
        FilterOperator("~hs", .named(.field(.server)), .response, cost: 5, "header field of the response"),
        FilterOperator("~query", .named(.query), .request, cost: 4, "parameter of the query, decoded"),
        FilterOperator(
            "~redacted", .named(.redaction), .end, cost: 7,
            "flows that this rule of redaction changed; VALUE is the part of the flow"),
        FilterOperator("~tag", .named(.tag), .end, cost: 6, "tag NAME, or NAME:VALUE"),
        FilterOperator("~trailer", .named(.trailer), .end, cost: 6, "trailer field of request or response"),
    ]
}
