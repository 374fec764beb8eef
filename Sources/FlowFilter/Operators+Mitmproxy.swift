// The operators of mitmproxy's language. Their meaning does not change.

import FlowModel

extension FilterOperator {
    static let mitmproxy: [FilterOperator] = [
        FilterOperator("~a", .property(.asset), .response, cost: 5, "response is an asset: scripts, style sheets, images, fonts"),
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
        FilterOperator("~e", .property(.error), .end, cost: 1, "flows with an error"),
        FilterOperator("~h", .text(.fields(nil), .lines), .response, cost: 5, "header fields, as lines 'name: value'"),
        FilterOperator("~hq", .text(.fields(.client), .lines), .request, cost: 5, "request header fields"),
        FilterOperator("~hs", .text(.fields(.server), .lines), .response, cost: 5, "response header fields"),
        FilterOperator("~http", .property(.kind(.http)), .opening, cost: 1, "HTTP flows, including WebSocket"),
        FilterOperator("~m", .text(.method, .plain), .request, cost: 2, "method"),
        FilterOperator("~marked", .property(.tagged), .end, cost: 1, "flows that have a tag"),
        FilterOperator("~marker", .text(.notRecorded, .plain), .opening, cost: 0, "marker: not recorded, matches nothing"),
        FilterOperator("~meta", .text(.notRecorded, .lines), .opening, cost: 0, "metadata: not recorded, matches nothing"),
        FilterOperator("~q", .property(.hasNoResponse), .end, cost: 1, "requests without a response from a server"),
        FilterOperator("~replay", .property(.notRecorded), .opening, cost: 0, "replayed flows: not recorded, matches nothing"),
        FilterOperator("~replayq", .property(.notRecorded), .opening, cost: 0, "replayed requests: not recorded, matches nothing"),
        FilterOperator("~replays", .property(.notRecorded), .opening, cost: 0, "replayed responses: not recorded, matches nothing"),
        FilterOperator("~s", .property(.hasResponse), .response, cost: 1, "flows with a response from a server"),
        FilterOperator("~src", .text(.clientAddress, .plain), .opening, cost: 4, "client address, ip:port"),
        FilterOperator("~t", .text(.contentType(nil), .plain), .response, cost: 5, "Content-Type of request or response"),
        FilterOperator("~tcp", .property(.kind(.tcp)), .opening, cost: 1, "TCP flows"),
        FilterOperator("~tq", .text(.contentType(.client), .plain), .request, cost: 5, "Content-Type of the request"),
        FilterOperator("~ts", .text(.contentType(.server), .plain), .response, cost: 5, "Content-Type of the response"),
        FilterOperator("~u", .url, .request, cost: 4, "URL; a bare regular expression is the same"),
        FilterOperator("~udp", .property(.notRecorded), .opening, cost: 0, "UDP flows: not recorded, matches nothing"),
        FilterOperator("~websocket", .property(.webSocket), .end, cost: 1, "WebSocket flows"),
    ]
}
