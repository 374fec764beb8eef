// The profile of one run of a browser: a directory that only the user can read, removed at the end.

import FlowArchive
import Foundation
import Glibc
import TLSEngine
import ToolSupport

struct BrowserProfile {
    let directory: String

    /// Imports certificates into the database of a profile; a part of NSS.
    private static let certutil = "certutil"

    /// - Throws: ``ToolError`` if a browser needs a program that is not installed.
    static func checkNeeds(of browser: Browser, path search: String?) throws {
        guard browser.family == .firefox else { return }
        do throws(LaunchFailure) { _ = try ProgramFile(certutil, path: search) } catch {
            throw ToolError(
                "Firefox gets the certificate by certutil, which is not installed; install libnss3-tools (Fedora: nss-tools)")
        }
    }

    init() throws {
        let parent = (ProcessInfo.processInfo.environment["TMPDIR"].flatMap { $0.hasPrefix("/") ? $0 : nil }) ?? "/tmp"
        var template = (FileName.bytes(parent + "/mitm-browser-XXXXXX") + [0]).map { CChar(bitPattern: $0) }
        // mkdtemp(3): mode 0700.
        guard unsafe mkdtemp(&template) != nil else {
            throw ToolError(unsafe "cannot make a directory in \(parent): \(String(cString: strerror(errno)).lowercased())")
        }
        directory = FileName.text(template.dropLast().map { UInt8(bitPattern: $0) })
    }

    /// Where the browser's stderr goes.
    var log: String { directory + "/stderr.log" }

    /// Writes what the browser reads at its start.
    func prepare(
        for browser: Browser, proxy: ProxyAddress, authority: CertificateAuthority, environment: ProcessEnvironment, mask: sigset_t
    ) throws {
        guard browser.family == .firefox else { return }
        try write(Browser.firefoxSettings(proxy), to: "user.js")
        try write(authority.chainPEM[0], to: "authority.pem")
        let arguments = [
            "-A", "-d", "sql:\(directory)", "-n", "mitm", "-t", "C,,", "-i", directory + "/authority.pem", "-f", "/dev/null",
        ]
        let status: Int32
        do throws(LaunchFailure) {
            let program = try ProgramFile(Self.certutil, path: environment["PATH"])
            status = try LaunchedProgram(program, arguments, environment: environment, mask: mask, errors: log).waitForEnd()
        } catch {
            throw ToolError(error.message)
        }
        guard status == 0 else { throw ToolError("certutil failed with status \(status): \(lastWords)") }
    }

    private func write(_ text: String, to name: String) throws {
        _ = try WholeFile.write(Array(text.utf8), to: "\(directory)/\(name)", mode: 0o600, replaces: true)
    }

    /// The end of the browser's stderr, at most ten lines.
    var lastWords: String {
        let text = (try? Data(contentsOf: URL(fileURLWithPath: log))).map { String(decoding: $0.suffix(4096), as: UTF8.self) } ?? ""
        let lines = text.split(separator: "\n").suffix(10)
        return lines.isEmpty ? "it wrote nothing on stderr" : lines.joined(separator: "\n")
    }

    /// Removes the directory. Processes of the browser may still write into it for a moment.
    func remove() {
        for _ in 0..<20 {
            try? FileManager.default.removeItem(atPath: directory)
            guard FileManager.default.fileExists(atPath: directory) else { return }
            usleep(100_000)
        }
        printError("cannot remove the browser's profile \(directory)", as: "mitm-record")
    }
}
