// The certificates that a recorded program trusts: those of the system, those that the user's environment names, and ours. Ours alone would
// break connections to hosts that pass unread. The files are made in the configuration directory, and again when their content changes.

import FlowArchive
import Foundation
import Glibc
import NIOCore
import TLSEngine
import ToolSupport

struct TrustBundle {
    /// The path of a PEM file.
    let certificates: String
    /// The path of the same certificates as Java reads them.
    let javaStore: String
    /// The path of a wgetrc file that names them: GnuTLS, which wget uses, reads no variable.
    let wgetrc: String

    /// Java wants one; it protects no secret.
    static let javaPassword = "changeit"

    /// Where systems keep the certificates that they trust, in one file: Debian, Fedora, openSUSE, Red Hat, Alpine.
    private static let systemFiles = [
        "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/cert.pem",
    ]

    /// Makes the files where they are missing or not what they should be.
    /// - Parameter directory: the configuration directory.
    /// - Throws: ``ToolError`` for a file that cannot be written.
    init(for authority: CertificateAuthority, in directory: String, environment: ProcessEnvironment) throws {
        var content = CertificateList()
        if let system = Self.systemFiles.lazy.compactMap(Self.read).first { content.append(system) }
        for certificate in authority.chainPEM { content.append(Array(certificate.utf8)) }
        let common = content.count
        for path in Self.paths(in: environment) {
            if let bytes = Self.read(path) { content.append(bytes) }
        }
        let base = Self.absolute(directory) + "/mitm-ca-bundle" + Self.suffix(of: content.blocks.dropFirst(common))
        certificates = base + ".pem"
        javaStore = base + ".p12"
        wgetrc = base + ".wgetrc"
        // The store is written first: where the list is current, the store is.
        let list = content.blocks.flatMap { $0 }
        if Self.read(certificates) != list || Self.read(javaStore) == nil {
            try Self.write(Self.store(content), to: javaStore)
            try Self.write(list, to: certificates)
        }
        // The file takes the place of the system's own.
        let settings = (Self.read("/etc/wgetrc") ?? []) + FileName.bytes("\nca_certificate = \(certificates)\n")
        if Self.read(wgetrc) != settings { try Self.write(settings, to: wgetrc) }
    }

    /// Files of certificates that the user's programs trust.
    private static func paths(in environment: ProcessEnvironment) -> [String] {
        let files = LaunchVariable.certificates.names.compactMap { environment[$0] }
        let directories = (environment["SSL_CERT_DIR"] ?? "").split(separator: ":").map(String.init)
        return files
            + directories.flatMap { directory in
                let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
                return names.sorted().map { "\(directory)/\($0)" }
            }
    }

    /// Recorders with different environments have different files; with the same one, the same.
    private static func suffix(of blocks: ArraySlice<[UInt8]>) -> String {
        guard !blocks.isEmpty else { return "" }
        // FNV-1a: names, not secrets.
        let hash = blocks.joined().reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
        let digits = String(hash, radix: 16)
        return "-" + String(repeating: "0", count: 16 - digits.count) + digits
    }

    private static func store(_ list: CertificateList) throws -> [UInt8] {
        do throws(CertificateError) {
            let texts = list.blocks.map { String(decoding: $0, as: UTF8.self) }
            return Array(try TrustStore.pkcs12(texts, password: javaPassword).readableBytesView)
        } catch {
            throw ToolError("cannot make the certificates for Java: \(error.message)")
        }
    }

    private static func write(_ bytes: [UInt8], to path: String) throws {
        _ = try WholeFile.write(bytes, to: path, mode: 0o600, replaces: true)
    }

    /// - Returns: nil if it cannot be read, or is not a file.
    private static func read(_ path: String) -> [UInt8]? {
        let descriptor = unsafe FileName.withCString(path) { unsafe open($0, O_RDONLY | O_CLOEXEC | O_NONBLOCK) }
        guard descriptor >= 0 else { return nil }
        return (try? FileHandle(fileDescriptor: descriptor, closeOnDealloc: true).readToEnd()).map { Array($0) }
    }

    /// The command may have another working directory.
    private static func absolute(_ path: String) -> String {
        path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
    }
}

/// Certificates in PEM, each once.
struct CertificateList {
    private(set) var blocks: [[UInt8]] = []
    private var known: Set<[UInt8]> = []

    private static let begin = Array("-----BEGIN CERTIFICATE-----".utf8)
    private static let end = Array("-----END CERTIFICATE-----".utf8)

    var count: Int { blocks.count }

    /// Appends the certificates of a file; what stands between them is left out.
    mutating func append(_ file: [UInt8]) {
        var block: [UInt8]?
        for line in file.split(separator: UInt8(ascii: "\n")) {
            let line = line.last == UInt8(ascii: "\r") ? line.dropLast() : line
            if line.elementsEqual(Self.begin) {
                block = []
            } else if line.elementsEqual(Self.end) {
                if let block, known.insert(block).inserted { blocks.append(Self.begin + [0x0A] + block + Self.end + [0x0A]) }
                block = nil
            } else {
                block?.append(contentsOf: line + [0x0A])
            }
        }
    }
}
