// The recorder as an HTTP/2 server: what a client may not do is answered with the right error at the right scope, and nothing else
// suffers from it.

import TestSupport
import Testing

@Suite("HTTP/2 to the client")
struct HTTP2ServerRulesTests {
    @Test("Frames", arguments: HTTP2ServerRule.connections + HTTP2ServerRule.frames + HTTP2ServerRule.lifecycle)
    func frames(_ rule: HTTP2ServerRule) throws { try check(rule) }

    @Test("Field compression", arguments: HTTP2ServerRule.compression)
    func compression(_ rule: HTTP2ServerRule) throws { try check(rule) }

    @Test("Messages", arguments: HTTP2ServerRule.messages + HTTP2ServerRule.fields + HTTP2ServerRule.pseudoFields)
    func messages(_ rule: HTTP2ServerRule) throws { try check(rule) }

    @Test("Prefaces", arguments: HTTP2ServerRule.prefaces)
    func prefaces(_ rule: HTTP2ServerRule) throws {
        let origin = try HTTP2Origin()
        try withRecorder("h2c://127.0.0.1:\(origin.port)") { recorder in
            let client = HTTP2Endpoint(try RawConnection(port: recorder.port), .client)
            try judge(client, by: rule)
            try expectAnswer(on: recorder.port)
        }
    }

    /// One recorder for all of them, since starting it with TLS costs more than the rules do.
    @Test(
        "Over TLS it is the same",
        arguments: [
            HTTP2ServerRule.connections, HTTP2ServerRule.frames, HTTP2ServerRule.lifecycle, HTTP2ServerRule.compression,
            HTTP2ServerRule.messages, HTTP2ServerRule.fields, HTTP2ServerRule.pseudoFields,
        ])
    func overTLS(_ rules: [HTTP2ServerRule]) throws {
        let origin = try HTTP2Origin()
        try withBridgedRecorder(origin: origin.port) { port, _ in
            for rule in rules { try judge(try HTTP2Endpoint.client(port: port), by: rule) }
            try expectAnswer(on: port)
        }
    }

    @Test("Over TLS prefaces are the same")
    func prefacesOverTLS() throws {
        let origin = try HTTP2Origin()
        try withBridgedRecorder(origin: origin.port) { port, _ in
            for rule in HTTP2ServerRule.prefaces {
                try judge(HTTP2Endpoint(try RawConnection(port: port), .client), by: rule)
            }
            try expectAnswer(on: port)
        }
    }

    private func check(_ rule: HTTP2ServerRule) throws {
        let origin = try HTTP2Origin()
        try withRecorder("h2c://127.0.0.1:\(origin.port)") { recorder in
            let client = try HTTP2Endpoint.client(port: recorder.port)
            try judge(client, by: rule)
            try expectAnswer(on: recorder.port)
        }
    }

    private func judge(_ client: HTTP2Endpoint, by rule: HTTP2ServerRule) throws {
        for step in rule.steps { try client.perform(step) }
        let verdict = client.verdict(on: rule.stream, mayIgnore: rule.allowed.contains(.ignored))
        let allowed = rule.allowed.contains(verdict)
        #expect(allowed, "\(rule.name): \(verdict)")
        switch verdict {
        case .streamError where rule.goesOn, .answered where rule.goesOn:
            let next = client.get(on: HTTP2Endpoint.probe + 2)
            #expect(next == 200, "\(rule.name): the connection persists")
        default: break
        }
        #expect(client.faults == [], "\(rule.name)")
    }

    private func expectAnswer(on port: Int) throws {
        let other = try HTTP2Endpoint.client(port: port)
        let status = other.get(on: 1)
        #expect(status == 200, "another connection")
    }
}
