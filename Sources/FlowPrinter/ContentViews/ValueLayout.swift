// Values in the notation of JSON, a line for each element, two spaces for each level: for JSON itself, and for formats that have values of
// the same kinds.

import HTTPSemantics
import NIOCore

/// Writes the tokens of values. It decides about lines and indentation, and writes no token that it is not given.
struct ValueLayout {
    private var depth = 0
    /// A bracket was opened, and nothing is in it yet.
    private var isFresh = false
    private var isInLine = false
    /// Tokens stay in the line of the first one.
    var isInline = false

    /// - Parameter bracket: `{` or `[`.
    mutating func open(_ bracket: UInt8, into lines: inout CountedLines) {
        place(&lines)
        lines.add { $0.writeInteger(bracket) }
        if isInline { return }
        depth += 1
        isFresh = true
    }

    /// - Parameter bracket: `}` or `]`.
    mutating func close(_ bracket: UInt8, into lines: inout CountedLines) {
        if isInline { return lines.add { $0.writeInteger(bracket) } }
        depth = max(0, depth - 1)
        if !isFresh {
            if isInLine { lines.endLine() }
            lines.beginLine(depth)
        }
        isFresh = false
        isInLine = true
        lines.add { $0.writeInteger(bracket) }
        endValue(&lines)
    }

    mutating func comma(into lines: inout CountedLines) {
        place(&lines)
        if isInline { return lines.add { $0.writeStaticString(", ") } }
        lines.add { $0.writeInteger(UInt8(ascii: ",")) }
        lines.endLine()
        isInLine = false
    }

    mutating func colon(into lines: inout CountedLines) {
        place(&lines)
        lines.add { $0.writeStaticString(": ") }
    }

    /// A name, string or literal.
    /// - Parameter write: writes text without line ends.
    mutating func word(_ role: Palette.Role, into lines: inout CountedLines, _ write: (inout ByteBuffer) -> Void) {
        place(&lines)
        let palette = lines.palette
        lines.add { palette.write(role, into: &$0, write) }
        endValue(&lines)
    }

    /// Ends a line that is still open. Further values begin on the left.
    mutating func finish(_ lines: inout CountedLines) {
        if isInLine { lines.endLine() }
        self = ValueLayout()
    }

    /// Begins a line, unless the token continues one.
    private mutating func place(_ lines: inout CountedLines) {
        if isFresh {
            lines.endLine()
            isInLine = false
        }
        isFresh = false
        guard !isInLine else { return }
        lines.beginLine(depth)
        isInLine = true
    }

    /// Values that are not in others have lines of their own.
    private mutating func endValue(_ lines: inout CountedLines) {
        guard depth == 0, isInLine, !isInline else { return }
        lines.endLine()
        isInLine = false
    }

    /// A value that was written in one line is complete.
    mutating func endInline(_ lines: inout CountedLines) { endValue(&lines) }
}
