import FlowModel
import NIOCore
import TestSupport
import Testing

@testable import FlowFilter

@Suite("Times in expressions")
struct TimeTests {
    /// 2026-03-29T12:34:56.5Z. Clocks were put forward at 01:00Z: until then local time was an hour ahead of UTC, now it is two.
    private static let now = Timestamp(nanoseconds: 1_774_787_696_500_000_000)
    private static let change: Int64 = 1_774_746_000
    /// 2026-10-25T01:00:00Z, when they are put back.
    private static let backChange: Int64 = 1_792_890_000
    private static let environment = FilterEnvironment(now: now) { second in
        second >= change && second < backChange ? 7200 : 3600
    }

    /// The range that an argument of ~time means, in RFC 3339 without fractions of zero; nil when it is an error.
    private static func range(_ argument: String) -> String? {
        guard let filter = try? FlowFilter("~time '\(argument)'", environment: environment) else { return nil }
        let range = String(filter.canonical.dropFirst("~time ".count))
        return range.replacing(".000000000Z", with: "Z").replacing(".999999999Z", with: "+")
    }

    @Test(
        "A time is as long as its last part",
        arguments: [
            ("2026", "2025-12-31T23:00:00Z-2026-12-31T22:59:59+"),
            ("2026-02", "2026-01-31T23:00:00Z-2026-02-28T22:59:59+"),
            ("2026-12", "2026-11-30T23:00:00Z-2026-12-31T22:59:59+"),
            ("2026-03-28", "2026-03-27T23:00:00Z-2026-03-28T22:59:59+"),
            ("2026-03-29", "2026-03-28T23:00:00Z-2026-03-29T21:59:59+"),
            ("2024-02-29", "2024-02-28T23:00:00Z-2024-02-29T22:59:59+"),
            ("today", "2026-03-28T23:00:00Z-2026-03-29T21:59:59+"),
            ("Yesterday", "2026-03-27T23:00:00Z-2026-03-28T22:59:59+"),
            ("2026-01-01T08:00", "2026-01-01T07:00:00Z-2026-01-01T07:00:59+"),
            ("2026-01-01 08:00", "2026-01-01T07:00:00Z-2026-01-01T07:00:59+"),
            ("2026-01-01T08:00:30", "2026-01-01T07:00:30Z-2026-01-01T07:00:30+"),
            ("2026-01-01T08:00:30.25", "2026-01-01T07:00:30.250000000Z-2026-01-01T07:00:30.259999999Z"),
            ("2026-01-01T08:00Z", "2026-01-01T08:00:00Z-2026-01-01T08:00:59+"),
            ("2026-01-01T08:00:00-05:30", "2026-01-01T13:30:00Z-2026-01-01T13:30:00+"),
            ("2026-01-01t08:00:00+00:00", "2026-01-01T08:00:00Z-2026-01-01T08:00:00+"),
            ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z-2017-01-01T00:00:00+"),
            ("08:00", "2026-03-29T06:00:00Z-2026-03-29T06:00:59+"),
            ("8:00:01", "2026-03-29T06:00:01Z-2026-03-29T06:00:01+"),
            ("00:30", "2026-03-28T23:30:00Z-2026-03-28T23:30:59+"),
            // Clocks never show it, so it is half an hour after the change.
            ("02:30", "2026-03-29T01:30:00Z-2026-03-29T01:30:59+"),
            // Clocks show it twice.
            ("2026-10-25T02:30", "2026-10-25T00:30:00Z-2026-10-25T00:30:59+"),
            ("now", "2026-03-29T12:34:56.500000000Z-2026-03-29T12:34:56.500000000Z"),
            ("-15m", "2026-03-29T12:19:56.500000000Z-2026-03-29T12:19:56.500000000Z"),
            ("-1.5d", "2026-03-28T00:34:56.500000000Z-2026-03-28T00:34:56.500000000Z"),
        ])
    func times(argument: String, expected: String) {
        #expect(Self.range(argument) == expected)
    }

    @Test(
        "Comparisons and ranges of times include whole times",
        arguments: [
            (">2026-01-01", ">=2026-01-01T23:00:00Z"),
            (">=2026-01-01", ">=2025-12-31T23:00:00Z"),
            ("<2026-01-01", "<=2025-12-31T22:59:59+"),
            ("<=2026-01-01", "<=2026-01-01T22:59:59+"),
            ("=2026-01-01", "2025-12-31T23:00:00Z-2026-01-01T22:59:59+"),
            ("2026-01-01-2026-01-05", "2025-12-31T23:00:00Z-2026-01-05T22:59:59+"),
            ("2026-01-2026-02", "2025-12-31T23:00:00Z-2026-02-28T22:59:59+"),
            ("2025-2026", "2024-12-31T23:00:00Z-2026-12-31T22:59:59+"),
            ("08:00-09:00", "2026-03-29T06:00:00Z-2026-03-29T07:00:59+"),
            ("-2h--1h", "2026-03-29T10:34:56.500000000Z-2026-03-29T11:34:56.500000000Z"),
            ("-15m-now", "2026-03-29T12:19:56.500000000Z-2026-03-29T12:34:56.500000000Z"),
            ("yesterday-today", "2026-03-27T23:00:00Z-2026-03-29T21:59:59+"),
            ("2026-03-29-08:00", "2026-03-28T23:00:00Z-2026-03-29T06:00:59+"),
            ("2026-01-01T08:00Z-2026-01-01T09:00Z", "2026-01-01T08:00:00Z-2026-01-01T09:00:59+"),
            ("2026-01-01T08:00:00-05:00-2026-01-01T09:00:00-05:00", "2026-01-01T13:00:00Z-2026-01-01T14:00:00+"),
        ])
    func ranges(argument: String, expected: String) {
        #expect(Self.range(argument) == expected)
    }

    @Test(
        "What is not a time, or could be two, is an error",
        arguments: [
            "26", "1676", "2262", "2026-13", "2026-1-1", "2026-02-29", "2026-01-32", "2026-01-01T", "2026-01-01T8:00",
            "2026-01-01T24:00",
            "2026-01-01T08:60", "2026-01-01T08:00:61", "2026-01-01T08:00:00.", "2026-01-01T08:00+01:00", "2026-01-01T08:00:00+1",
            "2026-01-01T08:00:00.1234567890", "25:00", "8", "tomorrow", "-15", "-m", "15m", "+15m", ">", ">>2026",
            "2026-01-01T08:00-05:00",
            "2026-01-01T08:00-09:00", "2026-01-05-2026-01-01", "09:00-08:00", "-1h--2h", "-99999999d",
        ])
    func noTimes(argument: String) {
        #expect(Self.range(argument) == nil)
    }

    @Test(
        "The time of a flow is its start",
        arguments: [
            ("~since 2023-11-14T22:13:20Z", true),
            ("~since 2023-11-14T22:13:21Z", false),
            ("~until 2023-11-14T22:13:20Z", false),
            ("~until 2023-11-14T22:13:21Z", true),
            ("~until 2023-11-14T22:13Z", false),
            ("~time 2023-11-14T22:13Z", true),
            ("~time <=2023-11-14T22:13Z", true),
            ("~time >2023-11-14T22:13Z", false),
            ("~time 2023-11", true),
            ("~time '2023-11-14 23:13:20'", true),
            ("~since -15m", false),
            ("~until -15m", true),
            ("~time today", false),
        ])
    func starts(expression: String, isFound: Bool) throws {
        let flow = FlowBuilder().request("GET / HTTP/1.1\r\nHost: a\r\n\r\n").ended(at: 3000).flow
        #expect(try FlowFilter(expression, environment: Self.environment).matches(flow) == isFound)
    }

    @Test(
        "The caret of an error is under the time, and ~since takes one time",
        arguments: [
            ("~since", 0), ("~since x", 7), ("~since >2026", 7), ("~until 2025-2026", 7), ("~time 'x'", 7), ("~q ~time 24:00", 9),
        ])
    func errors(expression: String, offset: Int) throws {
        let error = #expect(throws: FilterSyntaxError.self) { _ = try FlowFilter(expression, environment: Self.environment) }
        #expect(error?.offset == offset, "\(error?.rendered ?? "")")
    }

    /// Flows from 2023-11-14T22:13:20Z on, for ten seconds.
    private struct Block: BlockSummary {
        var times: ClosedRange<Timestamp>? { FlowBuilder.start...FlowBuilder.start.advanced(byNanoseconds: 10_000_000_000) }
        func mayContain(_ kind: FlowKind) -> Bool { true }
        func mayContain(status: Int) -> Bool { true }
        var methodNames: [ByteBuffer]? { nil }
        var hosts: [ByteBuffer]? { nil }
    }

    @Test(
        "A block that began too late or ended too early is skipped",
        arguments: [
            ("~since 2023-11-14T22:13:30Z", true),
            ("~since 2023-11-14T22:13:31Z", false),
            ("~until 2023-11-14T22:13:20Z", false),
            ("~until 2023-11-14T22:13:21Z", true),
            ("~time 2023-11-14T22:13Z", true),
            ("~time 2023-11-14T22:14Z", false),
            ("~time 2023-11-14", true),
            ("~time 2023-11-15", false),
            ("!~since 2023-11-14T22:13:20Z", true),
        ])
    func blocks(expression: String, mayMatch: Bool) throws {
        #expect(try FlowFilter(expression, environment: Self.environment).mayMatch(Block()) == mayMatch)
    }
}
