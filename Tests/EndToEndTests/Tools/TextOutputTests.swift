// Lines of flows on terminals and elsewhere, and the event log of a recorder.

import Foundation
import TestSupport
import Testing

@Suite("Text for people")
struct TextOutputTests {
    private static let file = repository + "/Fixtures/quickstart/shop.mflow"

    /// What mitm-dump prints on a terminal of 80 columns.
    private func onTerminal(_ environment: String, _ options: String = "") throws -> [String] {
        let command = "env TERM=xterm COLUMNS=80 \(environment) \(toolDirectory)/mitm-dump --detail 1 \(options) \(Self.file)"
        let result = try run("script", ["-qec", command, "/dev/null"])
        #expect(result.status == 0)
        return result.output.split(whereSeparator: \.isNewline).map(String.init)
    }

    private func plain(_ line: String) -> String { line.replacing(#/\u{1B}\[[0-9;]*m/#, with: "") }

    @Test(
        "On a terminal lines fit its width and have colours, unless the user or the terminal does not want them",
        .enabled(if: hasTerminals, "there are no pseudo-terminals here: /dev/pts is not mounted"))
    func terminal() throws {
        let whole = try run("mitm-dump", ["--detail", "1", Self.file]).output.split(separator: "\n").map(String.init)
        #expect(whole.contains { $0.count > 80 } && !whole.joined().contains("\u{1B}"))
        let cut = try onTerminal("NO_COLOR=")
        #expect(cut.count == whole.count && cut.allSatisfy { $0.contains("\u{1B}[") })
        // Nothing but the URL is cut.
        #expect(cut.contains { plain($0).count == 80 && $0.contains("…") && $0.contains(" << ") })
        #expect(try onTerminal("NO_COLOR=", "--no-truncate").map(plain) == whole)
        for wish in ["NO_COLOR=1", "TERM=dumb"] { #expect(try onTerminal(wish) == cut.map(plain), "\(wish)") }
        #expect(try onTerminal("NO_COLOR=", "--color never") == cut.map(plain))
    }

    @Test("Elsewhere there are colours on request only, and the time is as asked")
    func elsewhere() throws {
        let coloured = try run("mitm-dump", ["--detail", "1", "--color", "always", Self.file]).output
        #expect(coloured.contains("\u{1B}[32m200\u{1B}[0m"))
        func first(_ time: String) throws -> Substring? {
            let result = try run("mitm-filter", ["--format", "text", "--time", time, "~all", Self.file])
            return result.output.split(separator: "\n").first
        }
        #expect(try first("none")?.hasPrefix("GET http://shop.example") == true)
        #expect(try first("elapsed")?.hasPrefix("    0.000 GET ") == true)
        #expect(try first("clock")?.prefixMatch(of: #/[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3} GET /#) != nil)
        #expect(try first("full")?.prefixMatch(of: #/20[0-9-]{8}T[0-9:]{8}\.[0-9]{3}[+-][0-9:]{5} GET /#) != nil)
    }

    @Test("The event log is JSON on request: listeners, connections, flows with their facts, failures once, the summary")
    func eventLogAsJSON() throws {
        try withTemporaryDirectory { directory in
            let origin = try RawOrigin(answering: [("\r\n\r\n", response("ok"))])
            let recorder = try Recorder(["-v", "--log-format", "json"], in: directory)
            #expect(try recorder.curl(["http://127.0.0.1:\(origin.port)/a"]).output == "ok")
            // Nothing listens there.
            _ = try recorder.curl(["http://127.0.0.1:1/b"])
            #expect(recorder.stop() == 0)
            let lines = try JSONObject.lines(recorder.program.errors)
            let events = lines.compactMap { $0["event"] }
            for event in [
                "recording", "authority", "listening", "client-connected", "server-connected", "server-closed", "client-closed",
                "summary",
            ] { #expect(events.contains(event), "\(event): \(events)") }
            let flows = lines.filter { $0["event"] == "flow" }
            #expect(flows.map { $0["url"] } == ["http://127.0.0.1:\(origin.port)/a", "http://127.0.0.1:1/b"])
            #expect(flows.map { $0["level"] } == ["notice", "warning"] && flows.map { $0["status"] } == ["200", "502"])
            #expect(flows.map { $0["size_from_server"] } == ["2", "0"])
            let told = lines.filter { $0["event"] != "summary" && $0["message"]?.contains("connection refused") == true }
            #expect(told.count == 1)
            let recorded = try recorder.flows().compactMap { $0["id"] }
            #expect(flows.compactMap { $0["flow"] } == recorded)
        }
    }

    @Test("A recorder prints heads on request; one that other machines reach without a password warns")
    func recorderLines() throws {
        try withTemporaryDirectory { directory in
            let origin = try RawOrigin(answering: [("\r\n\r\n", response("ok"))])
            let recorder = try Recorder(["--detail", "2", "--listen-host", "0.0.0.0"], in: directory)
            #expect(try recorder.curl(["http://127.0.0.1:\(origin.port)/a"]).output == "ok")
            #expect(recorder.stop() == 0)
            let log = eventLog(recorder.program.errors)
            #expect(
                log.contains { $0.hasPrefix("warning: every client that reaches 0.0.0.0:") && $0.hasSuffix("asks for a password") })
            #expect(log.contains("    HTTP/1.1 200 OK") && log.contains("    Content-Length: 2"))
            #expect(log.contains { $0.hasPrefix("GET http://127.0.0.1:\(origin.port)/a << 200 OK 2 B ") })
        }
    }
}
