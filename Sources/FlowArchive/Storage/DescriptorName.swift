// Names of descriptors that a process was started with: /dev/stdout, /dev/fd/3 (proc_pid_fd(5)). Opening such a name opens the file again, at
// its beginning and without the shell's `>>`; a program that is given one means the descriptor itself.

import Glibc

/// A name of a descriptor of this process.
struct DescriptorName {
    let path: String
    let descriptor: Int32

    /// - Parameter path: as it was given; links are followed.
    /// - Returns: nil if it names something else.
    init?(_ path: String) {
        var name = path
        // As many links as Linux follows, see path_resolution(7).
        for _ in 0..<40 {
            if let descriptor = Self.number(in: name) {
                self.path = path
                self.descriptor = descriptor
                return
            }
            guard let target = FileName.linkTarget(name) else { return nil }
            name = target
        }
        return nil
    }

    private static func number(in name: String) -> Int32? {
        for directory in ["/dev/fd/", "/proc/self/fd/", "/proc/\(getpid())/fd/"] where name.hasPrefix(directory) {
            return Int32(name.dropFirst(directory.count))
        }
        return nil
    }
}

extension FileName {
    /// The name that a symbolic link points to, from the root or from the current directory; nil for anything else.
    static func linkTarget(_ path: String) -> String? {
        let target: String? = unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(PATH_MAX)) { target in
            let length = unsafe FileName.withCString(path) { unsafe readlink($0, target.baseAddress!, target.count) }
            guard length > 0 else { return nil }
            return unsafe FileName.text(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(target)[..<length]))
        }
        return target.map { $0.hasPrefix("/") ? $0 : "\(directory(of: path))/\($0)" }
    }

    /// The directory that a file is in.
    static func directory(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}
