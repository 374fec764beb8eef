// Options for encrypted recordings: the recipients of a recording that is written, and the keys for those that are read.

import AgeFormat
import ArgumentParser
import FlowArchive
import Glibc
import NIOCore
import Synchronization

/// `--encrypt-to`.
package struct EncryptionArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            Encrypt the output to this recipient, age1…, or to those in the file after @, as the program age does; the private key is not \
            needed. May be repeated.
            """, valueName: "recipient"))
    package var encryptTo: [String] = []

    /// How long recorded data may wait in memory: a flush fills a chunk of 64 KiB.
    package static let flushInterval: Int64 = 10_000_000_000

    package init() {}

    /// nil without a recipient.
    /// - Throws: ``ToolError`` for a recipient that is not one.
    package func encryption() throws(ToolError) -> ArchiveEncryption? {
        var recipients: [AgeRecipient] = []
        for argument in encryptTo {
            guard argument.hasPrefix("@") else {
                recipients.append(try Self.recipient(argument, ""))
                continue
            }
            let path = expandingTilde(String(argument.dropFirst()))
            let lines = keyLines(try readText(path, as: "the file of --encrypt-to,"))
            if lines.isEmpty { throw ToolError("\(path) names no recipients") }
            for (number, line) in lines { recipients.append(try Self.recipient(line, "\(path), line \(number): ")) }
        }
        return recipients.isEmpty ? nil : ArchiveEncryption(recipients)
    }

    private static func recipient(_ text: String, _ place: String) throws(ToolError) -> AgeRecipient {
        do throws(AgeError) {
            return try AgeRecipient(text)
        } catch {
            // A private key that was given by mistake is not repeated.
            let name = text.uppercased().hasPrefix("AGE-SECRET-KEY-") ? "AGE-SECRET-KEY-…" : text
            throw ToolError("\(place)--encrypt-to: '\(name)' \(error)")
        }
    }
}

/// `-i, --identity`.
package struct IdentityArguments: ParsableArguments {
    @Option(
        name: .short("i"),
        help: ArgumentHelp(
            "Key file that opens encrypted recordings (AGE-SECRET-KEY-1…, of age-keygen). May be repeated.", valueName: "file"))
    package var identity: [FilePath] = []

    package init() {}

    /// The keys for recordings that are read. Passphrases are asked for on the terminal.
    /// - Throws: ``ToolError`` for a file that has no key.
    package func keys() throws(ToolError) -> ArchiveKeys {
        let asked = PassphrasePrompt()
        var identities: [AgeIdentity] = []
        for file in identity { identities += try Self.identities(file.path, asked) }
        return ArchiveKeys(identities) { asked.passphrase(for: $0) }
    }

    private static func identities(_ path: String, _ asked: PassphrasePrompt) throws(ToolError) -> [AgeIdentity] {
        let lines = keyLines(try text(path, asked))
        if lines.isEmpty { throw ToolError("\(path) has no key; age-keygen makes one") }
        var identities: [AgeIdentity] = []
        for (number, line) in lines {
            if line.hasPrefix("-----BEGIN") {
                let kind =
                    line.contains("AGE ENCRYPTED") ? "an encrypted key as text; remove the armor first" : "not a key of age-keygen"
                throw ToolError("\(path) is \(kind)")
            }
            do throws(AgeError) {
                identities.append(try AgeIdentity(line))
            } catch {
                throw ToolError("\(path), line \(number): the text \(error)")
            }
        }
        return identities
    }

    /// A key file may itself be encrypted with a passphrase.
    private static func text(_ path: String, _ asked: PassphrasePrompt) throws(ToolError) -> String {
        let bytes: ByteBuffer
        do throws(ArchiveError) {
            let input = try ArchiveInput(path: path, keys: nil)
            bytes = try input.rest(maximum: maximumSize) ?? ByteBuffer()
        } catch {
            throw ToolError("the key file of -i: \(error)")
        }
        guard AgeSmallFile.isEncrypted(bytes) else { return String(buffer: bytes) }
        guard let passphrase = asked.passphrase(for: path) else {
            throw ToolError(
                "\(path) is encrypted, and there is no terminal to ask for its passphrase; decrypt it first with age -d")
        }
        let text: ByteBuffer?
        do throws(AgeError) {
            text = try AgeSmallFile.decrypt(bytes, [.passphrase(passphrase)])
        } catch .noMatch {
            throw ToolError("\(path) has another passphrase")
        } catch {
            throw ToolError("\(path) cannot be decrypted: \(error)")
        }
        guard let text else { throw ToolError("\(path) cannot be decrypted: it was cut or changed") }
        return String(buffer: text)
    }

    private static let maximumSize = 1 << 20
}

/// The lines of a file with keys, without comments, and their numbers.
private func keyLines(_ text: String) -> [(number: Int, text: String)] {
    text.split(separator: "\n", omittingEmptySubsequences: false).enumerated().compactMap { index, line in
        let line = line.hasSuffix("\r") ? line.dropLast() : line
        return line.isEmpty || line.hasPrefix("#") ? nil : (index + 1, String(line))
    }
}

/// Asks for passphrases on the terminal, once for each file.
private final class PassphrasePrompt: Sendable {
    private let known = Mutex<[String: String]>([:])

    /// - Returns: nil if there is no terminal.
    func passphrase(for path: String) -> String? {
        known.withLock { known in
            if let passphrase = known[path] { return passphrase }
            guard let passphrase = Self.ask("passphrase of \(path): ") else { return nil }
            known[path] = passphrase
            return passphrase
        }
    }

    private static func ask(_ prompt: String) -> String? {
        let terminal = unsafe open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)
        guard terminal >= 0 else { return nil }
        defer { close(terminal) }
        var usual = termios()
        guard unsafe tcgetattr(terminal, &usual) == 0 else { return nil }
        var silent = usual
        silent.c_lflag &= ~tcflag_t(ECHO)
        unsafe tcsetattr(terminal, TCSAFLUSH, &silent)
        defer {
            unsafe tcsetattr(terminal, TCSAFLUSH, &usual)
            write("\n", to: terminal)
        }
        write(prompt, to: terminal)
        var line: [UInt8] = []
        var byte: UInt8 = 0
        while unsafe read(terminal, &byte, 1) == 1, byte != UInt8(ascii: "\n") { line.append(byte) }
        return String(decoding: line, as: UTF8.self)
    }

    private static func write(_ text: String, to descriptor: Int32) {
        var text = text
        text.withUTF8 { bytes in _ = unsafe Glibc.write(descriptor, bytes.baseAddress, bytes.count) }
    }
}
