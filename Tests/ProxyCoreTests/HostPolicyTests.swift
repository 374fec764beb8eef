import FlowModel
import ProxyCore
import Testing

@Suite("Which hosts are treated otherwise")
struct HostPolicyTests {
    @Test("What was added and what was learned while it ran outlives other rules; what the rules said does not")
    func change() {
        var rules = HostRules()
        rules.tcp = [{ $0 == "configured:1" }]
        rules.passesThroughOnReject = true
        let policy = HostPolicy(rules)
        policy.addTCP { $0 == "added:1" }
        _ = policy.noteRejection(of: Endpoint(host: "pinned", port: 1), serverName: nil)
        func treatments() -> [HostTreatment] {
            ["configured", "added", "pinned", "other"].map {
                policy.treatment(of: Endpoint(host: $0, port: 1), serverName: nil)
            }
        }
        let before = treatments()
        policy.change(HostRules())
        let after = treatments()
        #expect(before == [.tcp, .tcp, .passThrough, .intercept])
        #expect(after == [.intercept, .tcp, .passThrough, .intercept])
    }
}
