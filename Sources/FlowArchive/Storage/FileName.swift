// File names are bytes, which need not be UTF-8. In this program they are strings: each byte that does not belong to a character is mapped to
// a private-use character (as in PEP 383), and back to the byte when a file is opened or printed.

import Glibc

package enum FileName {
    /// U+10F780 to U+10F7FF, for private use, stand for the bytes 0x80 to 0xFF.
    private static let first: UInt32 = 0x10F700
    private static let escapes: ClosedRange<UInt32> = 0x10F780...0x10F7FF

    /// The string for a name. Different names have different strings.
    package static func text(_ bytes: some Collection<UInt8>) -> String {
        if let text = String(validating: bytes, as: UTF8.self), !text.unicodeScalars.contains(where: { escapes.contains($0.value) })
        {
            return text
        }
        var text = String.UnicodeScalarView()
        var rest = Array(bytes)[...]
        while let byte = rest.first {
            if let (scalar, length) = scalar(rest), !escapes.contains(scalar.value) {
                text.append(scalar)
                rest = rest.dropFirst(length)
            } else {
                // A byte below 0x80 is always a character.
                text.append(Unicode.Scalar(first + UInt32(byte))!)
                rest = rest.dropFirst()
            }
        }
        return String(text)
    }

    /// The character that bytes begin with, and its length.
    private static func scalar(_ bytes: ArraySlice<UInt8>) -> (Unicode.Scalar, Int)? {
        for length in 1...min(4, bytes.count) {
            guard let text = String(validating: bytes.prefix(length), as: UTF8.self), let scalar = text.unicodeScalars.first else {
                continue
            }
            return (scalar, length)
        }
        return nil
    }

    /// The name for a string.
    package static func bytes(_ text: String) -> [UInt8] {
        // Few names, and few lines that name files, have an escape; in UTF-8 each begins with this byte.
        var whole = text
        let plain = whole.withUTF8 { utf8 -> [UInt8]? in
            guard let start = utf8.baseAddress else { return [] }
            return unsafe memchr(start, 0xF4, utf8.count) == nil ? Array(utf8) : nil
        }
        if let plain { return plain }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count)
        for scalar in text.unicodeScalars {
            if escapes.contains(scalar.value) { bytes.append(UInt8(scalar.value - first)) } else { bytes += UTF8.encode(scalar)! }
        }
        return bytes
    }

    /// The name for a system call.
    package static func withCString<Result>(_ text: String, _ body: (UnsafePointer<CChar>) -> Result) -> Result {
        let name = (bytes(text) + [0]).map { CChar(bitPattern: $0) }
        return unsafe name.withUnsafeBufferPointer { unsafe body($0.baseAddress!) }
    }
}

extension FileName {
    /// The paths that match wildcards (glob(7)), in their order.
    package static func matching(_ wildcards: String) -> [String] {
        var found = unsafe glob_t()
        defer { unsafe globfree(&found) }
        guard unsafe withCString(wildcards, { unsafe glob($0, 0, nil, &found) }) == 0 else { return [] }
        return unsafe (0..<Int(found.gl_pathc)).compactMap { index in
            guard let path = unsafe found.gl_pathv[index] else { return nil }
            return unsafe text(UnsafeRawBufferPointer(start: path, count: strlen(path)))
        }
    }

    /// Wildcards that match this text alone.
    package static func escaped(_ text: String) -> String {
        text.reduce(into: "") { out, character in
            if "*?[\\".contains(character) { out.append("\\") }
            out.append(character)
        }
    }
}
