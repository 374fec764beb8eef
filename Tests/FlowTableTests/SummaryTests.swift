// The summary of a recording, as text and as JSON.

import FlowModel
import FlowPrinter
import FlowTable
import NIOCore
import TestSupport
import Testing

@Suite("A summary of flows")
struct SummaryTests {
    private func summary(_ flows: [FlowBuilder]) -> FlowSummary {
        var summary = FlowSummary()
        for flow in flows { summary.add(flow.flow) }
        return summary
    }

    private func text(_ summary: FlowSummary, columns: Int = 80) -> [String] {
        var out = ByteBuffer()
        summary.writeText(palette: Palette(isColoured: false), columns: columns, into: &out)
        return String(buffer: out).split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    }

    private func json(_ summary: FlowSummary) -> String {
        var out = ByteBuffer()
        summary.writeJSON(into: &out)
        return String(buffer: out)
    }

    @Test("It names kinds and states, hosts, statuses, methods, durations, the slowest and largest flows, and errors")
    func sections() {
        let lines = text(summary(TableFlows.all))
        #expect(lines[0] == "7 flows: 5 http (1 WebSocket), 2 tcp; 5 complete, 1 incomplete, 1 failed")
        #expect(lines[2] == "111 B sent, 2.0 KiB received")
        let titles = zip(lines, lines.dropFirst()).compactMap { $0.isEmpty && !$1.isEmpty ? $1 : nil }
        #expect(
            titles == [
                "hosts", "statuses", "methods", "duration of HTTP flows", "slowest", "largest",
                "errors",
            ])
        #expect(lines.contains("p50 5.9 ms, p90 30.0 ms, p95 30.0 ms, p99 30.0 ms, max 30.0 ms"))
        #expect(lines.contains("30.0 ms  503  POST https://api.example:8443/a,b?q=\"1\"&r=2"))
        #expect(lines.contains("2.1 KiB    -  c:443"))
        #expect(lines.contains { $0.hasPrefix("connection refused\\nby b      1") })
        #expect(lines.allSatisfy { !$0.hasSuffix(" ") })
    }

    @Test("Its lines fit in 80 columns")
    func width() {
        let long = String(repeating: "long-", count: 40)
        let builder = FlowBuilder(target: FlowTarget(scheme: "http", host: long + "example", port: 80))
            .request("GET /\(long) HTTP/1.1\r\n\r\n").response("HTTP/1.1 200 OK\r\n\r\n").ended(at: 3)
        let lines = text(summary([builder] + TableFlows.random(300, seed: 1)))
        #expect(lines.allSatisfy { $0.count <= 80 })
    }

    @Test("Parts of a recording, merged in any order, have the summary of the whole")
    func merged() {
        let flows = TableFlows.random(600, seed: 8) + TableFlows.all
        var parts = (0..<3).map { part in summary(flows.enumerated().filter { $0.offset % 3 == part }.map(\.element)) }
        var merged = parts.removeLast()
        for part in parts { merged.merge(part) }
        #expect(json(merged) == json(summary(flows)))
        #expect(text(merged) == text(summary(flows)))
    }

    @Test("Without flows it has no sections")
    func empty() {
        #expect(text(FlowSummary()) == ["0 flows", "0 B sent, 0 B received", ""])
        #expect(json(FlowSummary()).hasPrefix(#"{"flows":0,"kinds":{"http":0,"tcp":0,"tls":0},"#))
    }
}
