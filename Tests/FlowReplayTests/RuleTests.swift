import Testing

@testable import FlowReplay

@Suite("Rules and timing of a replay")
struct RuleTests {
    @Test("Rules are read, and invalid rules are named")
    func rules() throws {
        let rules = try IgnoreRules(["host", "query:_", "json:$.t", "form:token"], for: .matching)
        #expect(rules.host && !rules.body && rules.queryNames == ["_"] && rules.formNames == ["token"])
        let answers = try IgnoreRules(["header:Date", "body"], for: .responses)
        #expect(answers.headers == ["date"] && answers.body)
        for bad in ["hosts", "host:x", "json:", "json:$.", "query:", "header:Date"] {
            #expect(throws: ReplayRuleError.self) { try IgnoreRules([bad], for: .matching) }
        }
        #expect(throws: ReplayRuleError.self) { try IgnoreRules(["query:_"], for: .responses) }
    }

    @Test("Timing is read from its words")
    func timing() {
        let words = ["none", "max", "recorded", "2x", "0.5x", "50ms", "x", "-1x", "5", ""].map { ReplayTiming($0) }
        #expect(
            words == [
                ReplayTiming.none, ReplayTiming.none, .scaled(1), .scaled(2), .scaled(0.5), nil, nil, nil, nil,
                nil,
            ])
        #expect(
            ReplayTiming.scaled(2).pause(100) == 50 && ReplayTiming.none.pause(100) == 0 && ReplayTiming.fixed(7).pause(100) == 7)
        #expect(ReplayTiming.scaled(2).pause(100, isFirst: false) == 50 && ReplayTiming.fixed(7).pause(100, isFirst: false) == 0)
        // Too slow for a number, and times that go back.
        let pauses = [ReplayTiming.scaled(1e-300), .scaled(1e300)].map { timing in [1, .max, .min].map { timing.pause($0) } }
        #expect(pauses == [[1 << 61, 1 << 61, 0], [0, 0, 0]])
    }
}
