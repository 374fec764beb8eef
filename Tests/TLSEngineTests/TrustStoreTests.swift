// What other programs are given to trust the authority: the pin of a browser, the trust store of Java.

import Foundation
import TestSupport
import Testing

@testable import TLSEngine

@Suite struct TrustStoreTests {
    private func openssl(_ script: String, in directory: String) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", script]
        process.currentDirectoryURL = URL(fileURLWithPath: directory)
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return String(decoding: data, as: UTF8.self)
    }

    @Test(
        "The pin of a certificate is the one that openssl computes, whatever kind its key is of",
        arguments: [
            CertificateAuthority.KeyType.ecdsaP256, .rsa(bits: 2048),
        ])
    func pin(type: CertificateAuthority.KeyType) throws {
        try withTemporaryDirectory { directory in
            let authority = try CertificateAuthority.generate(keyType: type, now: 1_700_000_000)
            try authority.certificatePEM.write(toFile: directory + "/ca.pem", atomically: true, encoding: .utf8)
            let script =
                "openssl x509 -in ca.pem -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64 -w0"
            #expect(try openssl(script, in: directory) == Data(authority.publicKeyDigest).base64EncodedString())
        }
    }

    @Test("A trust store holds the certificates that can be read, each for every use, and opens with its password only")
    func store() throws {
        try withTemporaryDirectory { directory in
            let damaged = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
            let store = try TrustStore.pkcs12([Fixture.rootPEM, damaged, Fixture.intermediatePEM], password: "changeit")
            try Data(store.readableBytesView).write(to: URL(fileURLWithPath: directory + "/store.p12"))
            func list(_ password: String) throws -> [String] {
                let command = "openssl pkcs12 -in store.p12 -nokeys -passin pass:\(password) 2>/dev/null"
                let names = ["friendlyName", "2.16.840.1.113894.746875.1.1", "subject"]
                return try openssl(command, in: directory).split(separator: "\n").map { line in
                    line.trimmingPrefix { $0 == " " }.replacing(#/: <Unsupported.*|: Any.*/#, with: "")
                }
                .filter { line in names.contains { line.hasPrefix($0) } }.map(String.init)
            }
            // openssl prints the name of the attribute, not its value.
            let usage = "2.16.840.1.113894.746875.1.1"
            #expect(
                try list("changeit") == [
                    usage, "friendlyName: certificate 1", "subject=CN = Fixture Root", usage, "friendlyName: certificate 3",
                    "subject=CN = Fixture Intermediate",
                ])
            #expect(try list("wrong") == [])
        }
    }

    @Test("A trust store without a certificate is refused")
    func empty() {
        #expect(throws: CertificateError.self) { try TrustStore.pkcs12([], password: "changeit") }
    }
}
