// Paths as arguments. A `~` that the shell did not replace, as in --ca-file=~/ca.pem and in the configuration file, is replaced here.

import ArgumentParser
import FlowArchive
import Foundation
import Glibc

/// The name of a file or a directory.
package struct FilePath: ExpressibleByArgument, Sendable, Hashable, CustomStringConvertible {
    /// As it was given.
    package let text: String
    /// Where it is: with `~` and `~user` replaced.
    package let path: String

    package init(_ text: String) {
        self.text = text
        path = expandingTilde(text)
    }

    package init?(argument: String) {
        guard !argument.isEmpty else { return nil }
        self.init(argument)
    }

    /// Standard input or output.
    package static let standard = FilePath("-")

    /// `-`, which stands for standard input or output.
    package var isStandard: Bool { text == "-" }

    /// What is written there may appear on the user's terminal: it is a terminal or another device, or a pipe, whose reader may use the
    /// same terminal.
    var mayBeOnTerminal: Bool {
        if isStandard { return isTerminal(1) || isPipe(1) }
        var status = stat()
        let isThere = unsafe FileName.withCString(path) { unsafe stat($0, &status) == 0 }
        return isThere && status.st_mode & S_IFMT != S_IFREG
    }

    package var description: String { text }

    package static var defaultCompletionKind: CompletionKind { .file() }
}

/// The user's directory: HOME where it is set and absolute, as for every other program, otherwise that of the system's user database.
package func homeDirectory() -> String { environmentPath("HOME") ?? homeDirectory(of: nil) ?? "/" }

/// A path with `~` or `~user` at its beginning replaced by that user's directory. The name of an unknown user stays.
package func expandingTilde(_ path: String) -> String {
    guard path.hasPrefix("~") else { return path }
    let name = path.dropFirst().prefix { $0 != "/" }
    guard let home = name.isEmpty ? homeDirectory() : homeDirectory(of: String(name)) else { return path }
    let rest = path.dropFirst(1 + name.count)
    return home == "/" && !rest.isEmpty ? String(rest) : home + rest
}

/// Of the system's user database (getpwnam(3)).
/// - Parameter user: nil is the one who runs the tool.
private func homeDirectory(of user: String?) -> String? {
    var entry = unsafe passwd()
    var found: UnsafeMutablePointer<passwd>?
    var buffer = [CChar](repeating: 0, count: 16 * 1024)
    let count = buffer.count
    let result = unsafe buffer.withUnsafeMutableBufferPointer { text in
        if let user { return unsafe getpwnam_r(user, &entry, text.baseAddress!, count, &found) }
        return unsafe getpwuid_r(getuid(), &entry, text.baseAddress!, count, &found)
    }
    guard result == 0, unsafe found != nil, let home = unsafe entry.pw_dir else { return nil }
    return unsafe String(cString: home)
}

/// The value of an environment variable if it is an absolute path, without a slash at its end.
func environmentPath(_ name: String) -> String? {
    guard let path = environmentValue(name), path.hasPrefix("/") else { return nil }
    return path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
}
