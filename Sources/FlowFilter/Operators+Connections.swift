// The operators that ask for the connections of a flow, and for what TLS chose on them.

import FlowModel

extension FilterOperator {
    static let connections: [FilterOperator] = [
        FilterOperator(
            "~alpn", .text(.connection(.alpn, nil), .plain), .response, cost: 4,
            "protocol that TLS chose (ALPN) with the client or the server: h2, http/1.1"),
        FilterOperator(
            "~cert", .text(.certificate, .lines), .response, cost: 4,
            "names in the server's certificate, as lines 'subject: …', 'issuer: …', 'name: …'"),
        FilterOperator(
            "~cipher", .text(.connection(.cipher, nil), .plain), .response, cost: 4,
            "cipher suite of TLS with the client or the server"),
        FilterOperator("~client", .text(.clientAddress, .plain), .opening, cost: 4, "client address, ip:port; the same as ~src"),
        FilterOperator(
            "~conn", .text(.connection(.id, nil), .plain), .response, cost: 4,
            "identifier of the connection to the client or the server: client.id and server.id of JSON"),
        FilterOperator("~ja3", .text(.connection(.ja3, nil), .plain), .response, cost: 4, "JA3 fingerprint of the client's TLS"),
        FilterOperator("~ja4", .text(.connection(.ja4, nil), .plain), .response, cost: 4, "JA4 fingerprint of the client's TLS"),
        FilterOperator("~passthrough", .property(.passthrough), .end, cost: 6, "connections that were passed through unread"),
        FilterOperator(
            "~sni", .text(.connection(.serverName, nil), .plain), .response, cost: 4,
            "server name that the client sent to the recorder, or the recorder to the server (SNI)"),
        FilterOperator(
            "~stream", .number(.stream, .one), .opening, cost: 1,
            "stream of the client's connection: number of the stream in HTTP/2, count of the exchange in HTTP/1"),
        FilterOperator(
            "~tls", .choice(.tls), .response, cost: 3,
            "version of TLS with the client or the server: 1.0, 1.1, 1.2, 1.3; none: with neither"),
        FilterOperator("~verified", .property(.verified), .response, cost: 4, "the server's certificate was verified"),
        FilterOperator("~version", .choice(.version), .request, cost: 1, "version of HTTP of the request: 1.0, 1.1, 2, 3"),
    ]
}
