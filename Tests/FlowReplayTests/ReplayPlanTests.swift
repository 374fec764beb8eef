import FlowModel
import HTTPSemantics
import NIOCore
import Testing

@testable import FlowReplay

@Suite("The flows that a replay sends, and their connections")
struct ReplayPlanTests {
    private func plan(_ flows: [Flow], _ options: ReplayPlan.Options) -> ReplayPlan {
        var builder = ReplayPlan.Builder(options)
        for flow in flows { builder.add(flow, at: nil) }
        return builder.finish()
    }

    @Test("Flows of one client connection stay together, in the order of time; servers have connections of their own")
    func grouping() {
        let other = FlowTarget(scheme: "http", host: "b", port: 80)
        let flows = [
            flow(client: 2, at: 30), flow(client: 1, at: 0), flow(client: 1, at: 20), flow(client: 1, at: 10, target: other),
            flow(":method: GET\r\n:scheme: http\r\n:path: /\r\n\r\n", client: 1, at: 40),
        ]
        let plan = self.plan(flows, ReplayPlan.Options())
        let lines = plan.connections.map { "\($0.wireProtocol) \($0.target.host) \($0.flows)" }
        #expect(lines == ["http1 a [0, 2]", "http1 b [1]", "http1 a [3]", "http2 a [4]"])
        var options = ReplayPlan.Options()
        options.hasHTTPTarget = true
        let merged = self.plan(flows, options).connections.map(\.flows)
        #expect(merged == [[0, 1, 2], [3], [4]])
    }

    @Test("Flows that cannot be sent are left out, with the reason")
    func leftOut() {
        var options = ReplayPlan.Options()
        options.onlySafeMethods = true
        let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n"
        var passthrough = FlowEnding(state: .complete)
        passthrough.passthrough = PassthroughSizes(fromClient: 1, fromServer: 1)
        let flows = [
            flow(), flow("CONNECT a:1 HTTP/1.1\r\n\r\n"), flow(kind: .tls), flow(kind: .tcp, ending: passthrough),
            flow(post, body: "abc"), flow("PUT / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ]
        let careful = self.plan(flows, options)
        #expect(careful.flowCount == 1)
        #expect(
            careful.leftOut == [
                "CONNECT is not sent again": 1, "the TLS handshake failed": 1, "it was passed through unread": 1,
                "the method is not safe (--safe-methods)": 2,
            ])
        let cut = [
            flow(post, body: "a"), flow(post, body: "abc", isRequestWhole: false), flow(isRequestWhole: false),
            flow(post, body: "abc"),
        ]
        let plan = self.plan(cut, ReplayPlan.Options())
        #expect(plan.flowCount == 2)
        #expect(
            plan.leftOut == [
                "the request's content is shorter than its Content-Length": 1, "the request is incomplete": 1,
            ])
    }

    @Test("Flows are due by the clock, by a rate, or by the flows before them")
    func schedule() {
        let flows = [flow(at: 0), flow(at: 100), flow(at: 300)]
        let schedules: [ReplaySchedule] = [.recorded(.recorded), .recorded(.scaled(2)), .recorded(.none), .rate(50), .rate(1e-300)]
        let dues = schedules.map { schedule in
            flows.indices.map { schedule.offset(of: $0, recorded: flows[$0].started - flows[0].started).map { $0 / 1_000_000 } }
        }
        #expect(
            dues == [[0, 100, 300], [0, 50, 150], [nil, nil, nil], [0, 20, 40], [0, 2_305_843_009_213, 2_305_843_009_213]])
    }

    @Test("A plan knows how long its schedule takes, to the end of its last flow")
    func duration() {
        let plan = self.plan([flow(client: 1, at: 0), flow(client: 2, at: 100), flow(client: 3, at: 300)], ReplayPlan.Options())
        let schedules: [ReplaySchedule] = [.recorded(.recorded), .recorded(.scaled(2)), .recorded(.none), .rate(50)]
        // Each flow takes five milliseconds.
        #expect(schedules.map { plan.duration($0) } == [305_000_000, 152_500_000, nil, 40_000_000])
        #expect(self.plan([], ReplayPlan.Options()).duration(.rate(1)) == 0)
    }

    @Test("Progress has the count, the rate, and the time that is left")
    func progress() {
        func sending(_ done: UInt64, _ total: UInt64, _ elapsed: Int64, _ scheduled: Int64? = nil, failed: Int = 0) -> String {
            ReplayProgress(
                done: done, total: total, elapsed: elapsed * 1_000_000, scheduled: scheduled.map { $0 * 1_000_000 }
            ).sending(failed: failed)
        }
        #expect(sending(0, 9, 0) == "0 of 9 sent, 0/s")
        #expect(sending(12_000, 108_000, 6000) == "12,000 of 108,000 sent, 2,000/s, 48 s left")
        #expect(sending(3, 9, 60_000, 1_383_000) == "3 of 9 sent, 0/s, 22 min 3 s left")
        // Late: the schedule is over, and the rest takes as long as it takes.
        #expect(sending(5, 10, 2000, 1000, failed: 2) == "5 of 10 sent, 2/s, 2 s left, 2 failed")
        #expect(sending(9, 9, 1000) == "9 of 9 sent, 9/s, 0 ms left")
        let durations: [Int64] = [850_000_000, 59_999_999_999, 120_000_000_000, 11_100_000_000_000, 180_000_000_000_000]
        #expect(durations.map { roundedDuration($0) } == ["850 ms", "59 s", "2 min", "3 h 5 min", "2 d 2 h"])
    }

    @Test(
        "A pattern names whole hosts",
        arguments: [
            ("api.example", "api.example", true),
            ("API.example", "api.Example", true),
            ("api.example:443", "api.example", true),
            ("api.example:80", "api.example", false),
            ("example", "api.example", false),
            ("*.example", "api.example", true),
            ("*.example", "api.example.org", false),
            ("*", "anything", true),
            ("*:443", "anything", true),
            ("a*i.ex*e", "api.example", true),
            ("[::1]:443", "::1", true),
            ("::1", "::1", true),
            ("", "a", false),
            ("api?example", "api.example", false),
        ] as [(String, String, Bool)])
    func patterns(pattern: String, host: String, expected: Bool) {
        let matches = TargetPattern(pattern).matches(host: host, port: 443)
        #expect(matches == expected)
    }

    @Test("A request without an answer has failed, unless it had none in the recording")
    func unanswered() {
        let silent = flow("GET / HTTP/1.1\r\nHost: a\r\n\r\n", nil, ending: FlowEnding(state: .incomplete))
        var tally = ReplayTally()
        tally.count(silent, recorded: flow(), isDifferent: nil)
        tally.count(silent, recorded: flow(), isDifferent: true)
        tally.count(silent, recorded: silent, isDifferent: false)
        #expect([tally.failed, tally.different, tally.same] == [2, 0, 1])
    }

    @Test("The summary counts, names reasons, and sets new times beside recorded ones")
    func summary() {
        var tally = ReplayTally()
        tally.sent(lateness: 0)
        tally.sent(lateness: 12_000_000)
        tally.count(flow(), recorded: flow(), isDifferent: false)
        tally.count(flow(), recorded: flow(), isDifferent: true)
        tally.failedToSend("connection refused")
        let lines = tally.summary(
            compares: true, leftOut: ["CONNECT is not sent again": 3], unsent: 0, elapsed: 1_500_000_000)
        let zeros = "min 0.0 ms, mean 0.0 ms, p50 0.0 ms, p90 0.0 ms, p95 0.0 ms, p99 0.0 ms, p99.9 0.0 ms, max 0.0 ms"
        #expect(
            lines == [
                "2 sent, 1 the same, 1 different, 1 failed, 3 left out", "3 left out: CONNECT is not sent again",
                "took 1.50 s, 1.3 requests/s; content: 0 bytes to servers, 0 bytes from servers", "status: 200: 2",
                "1 failed: connection refused",
                "behind schedule: 12 ms at most, 12 ms in total",
                "time to the last byte: \(zeros)", "in the recording:      \(zeros)",
            ])
    }

    @Test("Percentiles of a histogram are right to half a percent")
    func histogram() {
        var histogram = LatencyHistogram()
        for value in stride(from: Int64(100_000), through: 1, by: -1) { histogram.add(value * 1000) }
        #expect(histogram.count == 100_000 && histogram.minimum == 1000 && histogram.maximum == 100_000_000)
        #expect(histogram.mean == 50_000_500)
        for percent in [0.001, 1, 50, 90, 99, 99.9, 100] {
            let (found, exact) = (Double(histogram.percentile(percent)), percent * 1_000_000)
            #expect(found >= exact && found <= exact * 1.005, "p\(percent): \(found)")
        }
        var small = LatencyHistogram()
        #expect(small.percentile(50) == 0)
        for value in [-5, 3, .max] as [Int64] { small.add(value) }
        #expect([small.minimum, small.percentile(34), small.percentile(100)] == [0, 3, .max])
    }
}
