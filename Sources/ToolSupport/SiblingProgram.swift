// Another of these tools, in the directory of the one that runs.

import Glibc

/// The path of a tool in the directory of this program.
/// - Parameter option: which needs it, for the error.
/// - Throws: ``ToolError`` when it is not there.
package func siblingProgram(_ name: String, for option: String) throws(ToolError) -> String {
    var path = [UInt8](repeating: 0, count: Int(PATH_MAX))
    let count = unsafe path.withUnsafeMutableBytes { bytes in
        unsafe readlink("/proc/self/exe", bytes.baseAddress!.assumingMemoryBound(to: CChar.self), bytes.count)
    }
    let own = path.prefix(max(0, count))
    let directory = own.lastIndex(of: UInt8(ascii: "/")).map { String(decoding: own[..<$0], as: UTF8.self) } ?? "."
    let program = directory + "/" + name
    guard unsafe access(program, X_OK) == 0 else {
        throw ToolError("\(option) needs \(name), which is not in \(directory); install it there, or leave \(option) out")
    }
    return program
}
