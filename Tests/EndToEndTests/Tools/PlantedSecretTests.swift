// 500 secrets in a conversation of every kind, recorded with redaction: Tests/Foreign/secrets plants them and searches all that is written.

import Foundation
import Testing

@Suite("Planted secrets")
struct PlantedSecretTests {
    @Test("No redacted recording, export or log has one of 500 secrets, and the recording still answers and compares")
    func secrets() throws {
        let result = try run(
            "env", ["MITM_TOOLS=" + toolDirectory, ".build-test-venv/bin/python", "Tests/Foreign/secrets", "--fast"], in: repository
        )
        let failed = result.output.split(separator: "\n").filter { !$0.hasPrefix("ok ") }
        #expect(failed == [])
        #expect(result.output.contains("ok     a recording without redaction has each of the "))
        #expect(result.status == 0, "\(result.errors)")
    }
}
