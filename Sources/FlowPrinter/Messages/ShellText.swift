// Words of a POSIX shell (IEEE Std 1003.1, Shell Command Language, section 2.2). Output is printable, so that a command shows on a terminal
// what it does, and can be copied: bytes that are not visible become octal escapes of printf(1).

import HTTPSemantics
import NIOCore

enum ShellText {
    /// The length of a text that always fits into one argument, with the rest of a command: Linux limits an argument to 128 KiB
    /// (MAX_ARG_STRLEN in execve(2)), and a whole command is one in `sh -c "$(mitm-dump --format curl …)"`.
    static let maximumInline = 64 * 1024
    /// The longest argument.
    static let maximumArgument = 128 * 1024 - 1

    /// A word that the shell reads as exactly these bytes: in single quotes, except for bytes that are not visible.
    /// - Parameter bytes: without NUL, which no argument can contain.
    static func quoted(_ bytes: ByteBuffer) -> ByteBuffer {
        var word = ByteBuffer()
        word.reserveCapacity(bytes.readableBytes + 16)
        var isOpen = false
        func open(_ word: inout ByteBuffer) {
            if !isOpen { word.writeStaticString("'") }
            isOpen = true
        }
        func close(_ word: inout ByteBuffer) {
            if isOpen { word.writeStaticString("'") }
            isOpen = false
        }
        bytes.forEachRun { run, isVisible in
            if isVisible {
                for byte in run.readableBytesView {
                    if byte == UInt8(ascii: "'") {
                        close(&word)
                        word.writeStaticString(#"\'"#)
                    } else {
                        open(&word)
                        word.writeInteger(byte)
                    }
                }
            } else {
                close(&word)
                // Command substitution removes line feeds at its end. A line feed is visible, so none is here.
                word.writeStaticString("\"$(printf '")
                for byte in run.readableBytesView { word.writeOctal(byte) }
                word.writeStaticString("')\"")
            }
        }
        close(&word)
        if word.readableBytes == 0 { word.writeStaticString("''") }
        return word
    }

    /// A quoted format of printf(1) that prints exactly these bytes, NUL too.
    static func printfFormat(_ bytes: ByteBuffer) -> ByteBuffer {
        var word = ByteBuffer()
        word.reserveCapacity(bytes.readableBytes * 2)
        word.writeStaticString("'")
        for (index, byte) in bytes.readableBytesView.enumerated() {
            switch byte {
            case UInt8(ascii: "'"): word.writeStaticString(#"'\''"#)
            case UInt8(ascii: "\\"): word.writeStaticString(#"\\"#)
            case UInt8(ascii: "%"): word.writeStaticString("%%")
            case 0x0A: word.writeStaticString(#"\n"#)
            case 0x0D: word.writeStaticString(#"\r"#)
            case 0x09: word.writeStaticString(#"\t"#)
            // A format that begins with a hyphen is taken for an option.
            case UInt8(ascii: "-") where index == 0: word.writeOctal(byte)
            case 0x20..<0x7F: word.writeInteger(byte)
            default: word.writeOctal(byte)
            }
        }
        word.writeStaticString("'")
        return word
    }

    /// Text that a shell and a terminal show as it is: visible characters and line feeds.
    static func isVisible(_ bytes: ByteBuffer) -> Bool {
        var isVisible = true
        bytes.forEachRun { _, isRunVisible in isVisible = isVisible && isRunVisible }
        return isVisible
    }
}

extension ByteBuffer {
    fileprivate mutating func writeOctal(_ byte: UInt8) {
        writeInteger(UInt8(ascii: "\\"))
        writeInteger(UInt8(ascii: "0") + byte >> 6)
        writeInteger(UInt8(ascii: "0") + byte >> 3 & 7)
        writeInteger(UInt8(ascii: "0") + byte & 7)
    }

    /// Visits the longest runs of bytes that are visible text, and those between them.
    fileprivate func forEachRun(_ visit: (_ run: ByteBuffer, _ isVisible: Bool) -> Void) {
        let span = readableBytesUInt8Span
        var start = 0
        var wasVisible = true
        var i = 0
        while i < span.count {
            let length = visibleLength(at: i)
            if (length > 0) != wasVisible {
                if i > start { visit(slice(ByteRange(start, i)), wasVisible) }
                (start, wasVisible) = (i, length > 0)
            }
            i += max(1, length)
        }
        if span.count > start { visit(slice(ByteRange(start, span.count)), wasVisible) }
    }

    /// The number of bytes of the character at an offset if it is visible; 0 if it is not, and for bytes that are not UTF-8.
    private func visibleLength(at offset: Int) -> Int {
        let span = readableBytesUInt8Span
        let first = span[offset]
        if first < 0x80 { return first == 0x0A || first >= 0x20 && first < 0x7F ? 1 : 0 }
        let length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2
        guard let bytes = viewBytes(at: readerIndex + offset, length: length),
            let scalar = String(validating: bytes, as: UTF8.self)?.unicodeScalars.first
        else { return 0 }
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: return 0
        // Wide and narrow spaces look like the space that separates words.
        case .spaceSeparator: return 0
        default: return length
        }
    }
}
