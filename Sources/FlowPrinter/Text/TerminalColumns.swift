// Text measured and cut in the columns of a terminal.

import CWideCharacters
import Glibc
import HTTPSemantics
import NIOCore

/// Widths of characters as the C library knows them (wcwidth(3)): 2 for East Asian wide characters, 0 for combining ones.
private enum CharacterWidth {
    /// LC_CTYPE_MASK of locale.h, a macro that Swift does not import.
    private static let characterTypes: Int32 = 1

    /// Calls the body where every character of Unicode has its width, whatever the user's locale is.
    static func inUnicode<R>(_ body: () -> R) -> R {
        // SAFETY: the locale is used by this thread only, and is freed after the thread has its own again.
        guard let unicode = unsafe newlocale(characterTypes, "C.UTF-8", nil) else { return body() }
        let before = unsafe uselocale(unicode)
        defer {
            unsafe uselocale(before)
            unsafe freelocale(unicode)
        }
        return body()
    }

    static func of(_ scalar: Unicode.Scalar) -> Int {
        scalar.value < 0x7F ? 1 : max(0, Int(wcwidth(wchar_t(scalar.value))))
    }
}

extension ByteBuffer {
    /// The columns that the bytes take on a terminal. Sequences that select colours take none.
    package var columns: Int {
        let span = readableBytesUInt8Span
        var columns = 0
        var i = 0
        while i < span.count {
            if span[i] == 0x1B {
                while i < span.count, span[i] != UInt8(ascii: "m") { i += 1 }
            } else if span[i] >= 0x80 {
                return columns + slice(ByteRange(i, span.count)).wideColumns
            } else {
                columns += 1
            }
            i += 1
        }
        return columns
    }

    private var wideColumns: Int {
        CharacterWidth.inUnicode {
            var columns = 0
            var isInSequence = false
            for scalar in String(buffer: self).unicodeScalars {
                if isInSequence {
                    isInSequence = scalar != "m"
                } else if scalar == "\u{1B}" {
                    isInSequence = true
                } else {
                    columns += CharacterWidth.of(scalar)
                }
            }
            return columns
        }
    }

    /// The beginning of a text without escape sequences, with `…` for what does not fit.
    /// - Parameter maximum: in columns, 1 at least.
    package func cut(toColumns maximum: Int) -> ByteBuffer {
        guard columns > maximum else { return self }
        var kept = String.UnicodeScalarView()
        CharacterWidth.inUnicode {
            var left = maximum - 1
            for scalar in String(buffer: self).unicodeScalars {
                left -= CharacterWidth.of(scalar)
                guard left >= 0 else { return }
                kept.append(scalar)
            }
        }
        return ByteBuffer(string: String(kept) + "…")
    }
}
