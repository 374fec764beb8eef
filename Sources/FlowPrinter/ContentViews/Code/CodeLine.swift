// Lines of code while they are put together: tokens with single spaces between them.

import HTTPSemantics
import NIOCore

struct CodeLine {
    /// Longer code is not laid out: it is read twice.
    static let maximumContent = 16 * 1024 * 1024
    private static let maximumIndentation = 60

    private let content: ByteBuffer
    private var isOpen = false
    private var needsSpace = false
    private var last: UInt8 = 0
    /// Of the open line, or of the last one.
    private(set) var depth = 0

    init(_ content: ByteBuffer) { self.content = content }

    /// Requires a space before what comes next on this line.
    mutating func space() { if isOpen { needsSpace = true } }

    func endsWith(_ byte: UInt8) -> Bool { isOpen && last == byte }

    /// Appends bytes of the content.
    /// - Parameter depth: of the line, if they begin it.
    mutating func add(_ range: ByteRange, _ role: Palette.Role?, depth: Int, _ lines: inout CountedLines) {
        let palette = lines.palette
        for (number, part) in content.slice(range).lines.enumerated() {
            if number > 0 {
                // The further lines of a comment or a template stay as they are.
                lines.endLine()
                lines.beginLine(0)
            } else if !isOpen {
                self.depth = depth
                lines.beginLine(min(max(0, depth), Self.maximumIndentation))
                isOpen = true
            } else if needsSpace {
                lines.add { $0.writeStaticString(" ") }
            }
            lines.add { out in
                if let role {
                    palette.write(role, into: &out) { $0.writeVisible(part, keepsLines: true) }
                } else {
                    out.writeVisible(part, keepsLines: true)
                }
            }
        }
        needsSpace = false
        last = content.byte(at: Int(range.end) - 1) ?? 0
    }

    /// Ends the line, if one is open.
    mutating func end(_ lines: inout CountedLines) {
        guard isOpen else { return }
        lines.endLine()
        (isOpen, needsSpace) = (false, false)
    }
}

extension ByteBuffer {
    /// Code that people wrote: several lines, none of them long.
    var isLaidOut: Bool {
        let span = readableBytesUInt8Span
        var (start, count) = (0, 0)
        for i in 0...span.count where i == span.count || span[i] == 0x0A {
            guard i - start <= 160 else { return false }
            (start, count) = (i + 1, count + 1)
        }
        return count > 2
    }
}
