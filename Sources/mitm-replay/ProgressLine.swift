// The last line of a terminal, rewritten while work continues. Other lines are printed above it.

import Synchronization
import ToolSupport

/// Progress on stderr, where that is a terminal.
final class ProgressLine: Sendable {
    private let isShown = isTerminal(2)
    private let hasText = Mutex(false)

    /// Replaces the text.
    func show(_ text: @autoclosure () -> String) {
        guard isShown else { return }
        let text = text()
        hasText.withLock { hasText in
            writeToStandardError("\r\(text)\u{1B}[K")
            hasText = true
        }
    }

    /// Removes the text before other output.
    func clear() {
        guard isShown else { return }
        hasText.withLock { hasText in
            if hasText { writeToStandardError("\r\u{1B}[K") }
            hasText = false
        }
    }

    /// Prints a line that stays.
    /// - Parameter line: with its end.
    func print(_ line: String) {
        hasText.withLock { hasText in
            writeToStandardError((hasText ? "\r\u{1B}[K" : "") + line)
            hasText = false
        }
    }
}
