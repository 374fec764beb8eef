// The operators that ask for facts of a flow, beside those of mitmproxy.

import FlowModel

extension FilterOperator {
    static let facts: [FilterOperator] = [
        FilterOperator(
            "~duration", .number(.duration, .duration), .end, cost: 1,
            "time from start to end: >250ms, 1s-2s; us, ms, s (without a unit), m, h, d"),
        FilterOperator("~error", .text(.error, .plain), .end, cost: 2, "message of the error"),
        FilterOperator("~h3offered", .property(.offersHTTP3), .response, cost: 4, "response offers HTTP/3 in Alt-Svc"),
        FilterOperator("~id", .text(.id, .plain), .opening, cost: 4, "identifier"),
        FilterOperator("~incomplete", .property(.incomplete), .end, cost: 1, "flows that were cut off or have not ended"),
        FilterOperator("~local", .property(.localReply), .end, cost: 1, "flows that the recorder answered itself"),
        FilterOperator(
            "~messages", .number(.messages, .one), .end, cost: 9,
            "number of WebSocket messages or pieces of a TCP stream: 3, >10, 2-5"),
        FilterOperator("~note", .text(.note, .plain), .end, cost: 6, "notes: unusual things that did not end the flow"),
        FilterOperator("~since", .time(.earliest), .opening, cost: 1, "flows that started at TIME or later"),
        FilterOperator("~time", .time(.range), .opening, cost: 1, "flows that started in TIME, or >TIME, <=TIME, TIME-TIME"),
        FilterOperator("~until", .time(.end), .opening, cost: 1, "flows that started before TIME"),
        FilterOperator("~view", .view, .opening, cost: 0, "the expression of that name in config.yaml"),
    ]
}
