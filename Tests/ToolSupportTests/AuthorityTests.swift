// The certificate authority of the configuration directory.

import Foundation
import ProxyToolSupport
import TLSEngine
import TestSupport
import Testing

@Suite("The certificate authority on disk")
struct AuthorityTests {
    @Test("Tools that start at the same time in a new directory use one authority, and leave nothing else there")
    func race() async throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("authority-\(UUID())").path
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let certificates = try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<16 {
                group.addTask { try Authority.load(from: directory + "/conf", now: 1_700_000_000).certificatePEM }
            }
            return try await group.reduce(into: Set<String>()) { $0.insert($1) }
        }
        #expect(certificates.count == 1)
        let names = try FileManager.default.contentsOfDirectory(atPath: directory + "/conf").sorted()
        #expect(names == ["mitm-ca-cert.pem", "mitm-ca.pem"])
        let given = try String(contentsOfFile: directory + "/conf/mitm-ca-cert.pem", encoding: .utf8)
        #expect(certificates == [given])
    }
}
