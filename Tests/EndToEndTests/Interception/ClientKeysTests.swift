// Clients that are particular about certificates: those that take RSA alone, and those that look for the authority in the chain.

import Foundation
import TestSupport
import Testing

@Suite("Clients that are particular about certificates")
struct ClientKeysTests {
    @Test(
        "openssl that takes RSA alone gets a certificate with an RSA key, all others one on P-256; the chain carries the authority",
        arguments: [
            (["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"], "rsaEncryption"),
            (["-tls1_2", "-cipher", "AES128-SHA"], "rsaEncryption"),
            (["-tls1_2", "-sigalgs", "RSA+SHA256"], "rsaEncryption"),
            (["-tls1_3", "-sigalgs", "rsa_pss_rsae_sha256:RSA+SHA256"], "rsaEncryption"),
            (["-tls1_2"], "id-ecPublicKey"), (["-tls1_3"], "id-ecPublicKey"),
        ] as [([String], String)])
    func keys(options: [String], key: String) throws {
        try withTemporaryDirectory { directory in
            let origin = try RawOrigin(answering: [])
            let recorder = try Recorder(["--mode", "reverse:http://127.0.0.1:\(origin.port)"], in: directory)
            recorder.program.collectErrors()
            let client =
                ["s_client", "-connect", "127.0.0.1:\(recorder.port)", "-servername", "a.example", "-CAfile", recorder.authority]
                + ["-verify_return_error", "-verify_hostname", "a.example", "-showcerts"] + options
            let result = try run("openssl", client, input: Data(), in: directory)
            #expect(result.output.contains("Verify return code: 0 (ok)"))
            #expect(result.output.contains("a:PKEY: \(key)"))
            #expect(result.output.components(separatedBy: "-----BEGIN CERTIFICATE-----").count == 3)
            #expect(recorder.stop() == 0)
        }
    }
}
