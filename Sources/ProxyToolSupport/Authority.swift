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
        do {
            try FileManager.default.createDirectory(
                atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw ToolError("cannot make the configuration directory \(directory): \(error.localizedDescription)")
        }
        // Another tool that starts at the same time may be first: both use its authority.
        let both = Array((authority.certificatePEM + authority.privateKeyPEM).utf8)
        guard try WholeFile.write(both, to: path, mode: 0o600, replaces: false) else {
            guard let other = try read(path) else { throw ToolError("cannot read the certificate authority \(path): it went away") }
            return other
        }
        let given = Array(authority.certificatePEM.utf8)
        _ = try WholeFile.write(given, to: directory + "/mitm-ca-cert.pem", mode: 0o644, replaces: true)
        made("made a certificate authority; clients must trust \(directory)/mitm-ca-cert.pem")
        return authority
    }

    /// - Returns: nil if there is no such file.
    private static func read(_ path: String) throws -> CertificateAuthority? {
        guard FileManager.default.fileExists(atPath: path) else { return nil }
        do {
            return try CertificateAuthority(pem: try String(contentsOfFile: path, encoding: .utf8))
        } catch let error as CertificateError {
            throw ToolError(
                "the certificate authority in \(path) cannot be used: \(error.message); move it away to have a new one made")
        } catch {
            throw ToolError("cannot read the certificate authority \(path): \(error.localizedDescription)")
        }
    }
}

/// Appends lines of the key log format to the file that SSLKEYLOGFILE names.
package final class KeyLog: Sendable {
    private let handle: FileHandle

    package init(path: String) throws {
        let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw ToolError(unsafe "cannot write the key log \(path): \(String(cString: strerror(errno)).lowercased())")
        }
        handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    }

    /// One write for each line, so that lines of several threads do not mix.
    package func append(_ line: String) { try? handle.write(contentsOf: Data((line + "\n").utf8)) }
}
