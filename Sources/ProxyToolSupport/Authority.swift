// The certificate authority on disk: made on first use, read afterwards.

import Foundation
import Glibc
import TLSEngine
import ToolSupport

package enum Authority {
    /// Reads `mitm-ca.pem` (certificate and key, mode 0600) of the directory, or makes it, with `mitm-ca-cert.pem` to give to clients.
    /// - Parameter made: receives a sentence when it was made.
    package static func load(
        from directory: String, now: Int64, made: (String) -> Void = { _ in }
    ) throws -> CertificateAuthority {
        let path = directory + "/mitm-ca.pem"
        if let authority = try read(path) { return authority }
        let authority: CertificateAuthority
        do throws(CertificateError) {
            authority = try CertificateAuthority.generate(now: now)
        } catch {
            throw ToolError("cannot make a certificate authority: \(error.message)")
        }
        try makeDirectory(directory, mode: 0o700, as: "the configuration directory")
        // Another tool that starts at the same time may be first: both use its authority.
        let both = Array((authority.certificatePEM + authority.privateKeyPEM).utf8)
        guard try WholeFile.write(both, to: path, mode: 0o600, replaces: false) else {
            guard let other = try read(path) else { throw ToolError("cannot read the certificate authority \(path): it went away") }
            return other
        }
        let given = Array(authority.certificatePEM.utf8)
        _ = try WholeFile.write(given, to: directory + "/mitm-ca-cert.pem", mode: 0o644, replaces: true)
        made(
            "made a certificate authority: \(directory)/mitm-ca-cert.pem (SHA-256 \(authority.fingerprint)), valid until "
                + "\(day(authority.notAfter)); clients must trust it")
        return authority
    }

    /// - Returns: nil if there is no such file.
    private static func read(_ path: String) throws -> CertificateAuthority? {
        guard fileExists(path) else { return nil }
        let text = try readText(path, as: "the certificate authority")
        do throws(CertificateError) {
            return try CertificateAuthority(pem: text)
        } catch {
            throw ToolError(
                "the certificate authority in \(path) cannot be used: \(error.message); move it away to have a new one made")
        }
    }

    /// - Parameter time: seconds since 1970.
    /// - Returns: the day in UTC, `2035-01-31`.
    private static func day(_ time: Int64) -> String {
        Date(timeIntervalSince1970: Double(time)).formatted(.iso8601.year().month().day())
    }
}

/// Appends lines of the key log format to the file that SSLKEYLOGFILE names.
package final class KeyLog: Sendable {
    private let file: LineFile
    private let report: @Sendable (String) -> Void

    /// - Parameter report: receives a sentence when lines cannot be written.
    package init(path: String, report: @escaping @Sendable (String) -> Void) throws {
        file = try LineFile(path, name: "the key log of SSLKEYLOGFILE,")
        self.report = report
    }

    package func append(_ line: String) {
        if let change = file.append(Array((line + "\n").utf8)) { report(change) }
    }
}
