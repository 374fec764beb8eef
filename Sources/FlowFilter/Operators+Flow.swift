// The operators that ask for facts of a flow, beside those of mitmproxy.

import FlowModel

extension FilterOperator {
    static let facts: [FilterOperator] = [
        FilterOperator(
            "~close", .number(.closeCode, .one), .end, cost: 7, "code of the first close frame of a WebSocket: 1000, >1001"),
        FilterOperator(
            "~duration", .number(.duration, .duration), .end, cost: 1,
            "time from start to end: >250ms, 1s-2s; us, ms, s (without a unit), m, h, d"),
        FilterOperator("~error", .text(.error, .plain), .end, cost: 2, "message of the error"),
        FilterOperator(
            "~graphql", .text(.graphQLOperation, .plain), .end, cost: 9,
            "name of a GraphQL operation that the client asked for: in a body, a query, or a message of graphql-ws"),
        FilterOperator("~h3offered", .property(.offersHTTP3), .response, cost: 5, "response offers HTTP/3 in Alt-Svc"),
        FilterOperator("~id", .text(.id, .plain), .opening, cost: 4, "identifier"),
        FilterOperator("~incomplete", .property(.incomplete), .end, cost: 1, "flows that were cut off or have not ended"),
        FilterOperator(
            "~informational", .property(.informational), .response, cost: 6, "interim responses (1xx) preceded the response"),
        FilterOperator("~informational", .interim, .response, cost: 6, "one of the interim responses has this status: [103]"),
        FilterOperator("~local", .property(.localReply), .end, cost: 1, "flows that the recorder answered itself"),
        FilterOperator(
            "~messages", .number(.messages, .one), .end, cost: 9,
            "number of WebSocket messages or pieces of a TCP stream: 3, >10, 2-5"),
        FilterOperator(
            "~mq", .text(.messages(.client), .content), .end, cost: 9, "message from the client: of a WebSocket or a TCP stream"),
        FilterOperator(
            "~ms", .text(.messages(.server), .content), .end, cost: 9, "message from the server: of a WebSocket or a TCP stream"),
        FilterOperator("~note", .text(.note, .plain), .end, cost: 6, "notes: unusual things that did not end the flow"),
        FilterOperator("~redacted", .property(.redacted), .end, cost: 6, "flows that redaction changed before they were stored"),
        FilterOperator(
            "~secret", .secret, .end, cost: 10,
            "a key, token or password, of any rule or of RULE: jwt, github-token, aws-*; in heads, decoded bodies, messages"),
        FilterOperator("~since", .time(.earliest), .opening, cost: 1, "flows that started at TIME or later"),
        FilterOperator("~size", .number(.size(nil), .size), .end, cost: 2, "bytes of content from both sides: >1m, <=64k, 1k-2k"),
        FilterOperator("~sizeq", .number(.size(.client), .size), .end, cost: 2, "bytes of content from the client"),
        FilterOperator("~sizes", .number(.size(.server), .size), .end, cost: 2, "bytes of content from the server"),
        FilterOperator("~time", .time(.range), .opening, cost: 1, "flows that started in TIME, or >TIME, <=TIME, TIME-TIME"),
        FilterOperator("~trailer", .text(.trailers, .lines), .end, cost: 6, "trailer fields of request or response"),
        FilterOperator(
            "~truncated", .property(.truncated), .end, cost: 6, "content of the flow is not all stored (--body-limit)"),
        FilterOperator(
            "~ttfb", .number(.timeToFirstByte, .duration), .end, cost: 2,
            "time from the end of the request to the head of the response, in whole microseconds"),
        FilterOperator("~until", .time(.end), .opening, cost: 1, "flows that started before TIME"),
        FilterOperator("~view", .view, .opening, cost: 0, "the expression of that name in config.yaml"),
    ]
}
