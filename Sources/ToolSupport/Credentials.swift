// `--proxyauth`: a user name and a password, or a file of them as htpasswd(1) writes it. crypt(3) checks the hashes: bcrypt (-B), SHA-512
// (-5), SHA-256 (-2), and whatever else the system's libcrypt knows.

private import CCrypt
import Foundation
import Synchronization

/// The users who may use the recorder.
package final class Credentials: Sendable {
    private enum Secret {
        case plain(String)
        case hash(String)
    }

    private let users: [String: Secret]
    /// Passwords that were right: checking a hash takes a quarter of a second, and clients send their password with each request.
    private let known = Mutex<[String: String]>([:])

    /// - Parameter argument: `user:password`, or `@file`.
    /// - Throws: ``ToolError`` in one sentence.
    package init(_ argument: String) throws {
        guard argument.hasPrefix("@") else {
            let parts = argument.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 2, !parts[0].isEmpty else { throw ToolError("--proxyauth is written user:password or @file") }
            users = [parts[0]: .plain(parts[1])]
            return
        }
        users = try Self.users(ofFile: String(argument.dropFirst()))
    }

    private static func users(ofFile path: String) throws -> [String: Secret] {
        var users: [String: Secret] = [:]
        let text = try readText(expandingTilde(path), as: "the file of --proxyauth,")
        for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            if line.isEmpty || line.hasPrefix("#") { continue }
            let parts = line.split(separator: ":", maxSplits: 1).map(String.init)
            guard parts.count == 2 else { throw ToolError("\(path), line \(number + 1): a line is user:hash") }
            guard parts[1].hasPrefix("$"), !parts[1].hasPrefix("$apr1$") else {
                throw ToolError("\(path), line \(number + 1): this kind of hash is not known; make it with htpasswd -B")
            }
            users[parts[0]] = .hash(parts[1])
        }
        if users.isEmpty { throw ToolError("\(path) names no users") }
        return users
    }

    /// The answer, if it is known without checking a hash; nil if a hash must be checked.
    package func known(_ user: String, _ password: String) -> Bool? {
        switch users[user] {
        case nil: false
        case .plain(let secret)?: Self.isEqual(Array(secret.utf8), Array(password.utf8))
        case .hash?: isKnown(user, password) ? true : nil
        }
    }

    /// Checks a hash if necessary, which is slow.
    package func accept(_ user: String, _ password: String) -> Bool {
        if let known = known(user, password) { return known }
        guard case .hash(let hash)? = users[user] else { return false }
        return isRight(user, password, hash)
    }

    private func isKnown(_ user: String, _ password: String) -> Bool {
        guard let known = known.withLock({ $0[user] }) else { return false }
        return Self.isEqual(Array(known.utf8), Array(password.utf8))
    }

    private func isRight(_ user: String, _ password: String, _ hash: String) -> Bool {
        guard let found = Self.hash(password, as: hash), Self.isEqual(Array(found.utf8), Array(hash.utf8)) else { return false }
        known.withLock { $0[user] = password }
        return true
    }

    private static func hash(_ password: String, as setting: String) -> String? {
        unsafe withUnsafeTemporaryAllocation(of: crypt_data.self, capacity: 1) { data in
            unsafe memset(data.baseAddress!, 0, MemoryLayout<crypt_data>.size)
            guard let result = unsafe crypt_r(password, setting, data.baseAddress!) else { return nil }
            return unsafe String(cString: result)
        }
    }

    /// Takes as long whichever byte differs.
    private static func isEqual(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        var difference = UInt8(a.count == b.count ? 0 : 1)
        for i in 0..<min(a.count, b.count) { difference |= a[i] ^ b[i] }
        return difference == 0
    }
}
