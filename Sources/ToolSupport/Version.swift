// What `--version` prints: a line with the tool, its version and the commit it was built from, and a line with the libraries that it uses.

private import CCommit
import ContentCoding
import FlowArchive
import FlowFilter

/// The version of all tools.
package let toolVersion = "0.1.0"

/// As `--version` prints it.
/// - Parameter libraries: `name/version` each, as they are at run time.
package func versionText(of tool: String, libraries: [String] = archiveLibraries) -> String {
    let commit = unsafe String(cString: mitm_commit())
    return "\(tool) \(toolVersion) (commit \(commit.isEmpty ? "unknown" : commit))\n\(libraries.joined(separator: " "))"
}

/// The libraries of every tool, since every tool reads flow files and filters flows.
package let archiveLibraries = contentCodingLibraries + [lz4Library, pcre2Library]
