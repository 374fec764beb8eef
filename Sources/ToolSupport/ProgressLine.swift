// The last line of a terminal, rewritten while work continues. It is removed before anything else is written to the terminal.

import FlowArchive
import Foundation
import Glibc
import Synchronization

/// Progress on stderr, where that is a terminal.
package struct ProgressLine: Sendable {
    /// Whether the terminal shows a line of progress now. A process has one.
    private static let isOnTerminal = Mutex(false)
    /// Returns to the first column, and erases up to the end of the line.
    private static let erasure = "\r\u{1B}[K"

    package let isShown: Bool

    /// - Parameters:
    ///   - isQuiet: nothing is shown.
    ///   - output: receives output while progress is shown; nil when nothing does. Progress is not shown when the output may be on the same
    ///     terminal.
    package init(isQuiet: Bool = false, besides output: FilePath? = nil) {
        isShown = !isQuiet && isTerminal(2) && environmentValue("TERM") != "dumb" && !(output?.mayBeOnTerminal ?? false)
    }

    /// Replaces the text. Parts at its end that do not fit in the line are left out.
    /// - Parameter parts: are joined by commas.
    package func show(_ parts: @autoclosure () -> [String]) {
        guard isShown else { return }
        // A text in the last column would move the cursor to the next line.
        let text = Self.fitted(parts(), columns: (terminalColumns(of: 2) ?? 80) - 1)
        Self.isOnTerminal.withLock { isOnTerminal in
            writeAll("\r\(text)\u{1B}[K")
            isOnTerminal = true
        }
    }

    static func fitted(_ parts: [String], columns: Int) -> String {
        var text = ""
        for part in parts {
            let longer = text.isEmpty ? part : "\(text), \(part)"
            guard longer.count <= columns else { break }
            text = longer
        }
        return text.isEmpty ? String((parts.first ?? "").prefix(max(0, columns))) : text
    }

    /// Removes the text before other output to the terminal.
    package static func clear() {
        isOnTerminal.withLock { isOnTerminal in
            if isOnTerminal { writeAll(erasure) }
            isOnTerminal = false
        }
    }

    /// Writes other text to stderr, in place of the progress.
    static func replace(by text: String) {
        isOnTerminal.withLock { isOnTerminal in
            writeAll(isOnTerminal ? erasure + text : text)
            isOnTerminal = false
        }
    }
}

/// A closed stderr is not an error.
private func writeAll(_ text: String) {
    var bytes = FileName.bytes(text)
    var written = 0
    while written < bytes.count {
        let result = unsafe bytes.withUnsafeMutableBytes { unsafe write(2, $0.baseAddress! + written, $0.count - written) }
        if result < 0, errno != EINTR { return }
        written += max(0, result)
    }
}
