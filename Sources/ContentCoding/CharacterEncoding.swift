// Text in the character encodings of the C library (iconv), by the names that a media type has in its charset parameter.

import Glibc
import NIOCore

/// Encodes text.
/// - Parameter charset: a name from IANA's registry, for example `Shift_JIS`.
/// - Returns: nil if the encoding is not known or lacks a character of the text, or if the text is not UTF-8.
package func encodeText(_ text: ByteBuffer, charset: String) -> ByteBuffer? {
    guard let converter = CharacterConverter(from: "UTF-8", to: charset) else { return nil }
    return converter.convert(text)
}

/// A converter of the C library, closed on deinit.
@safe private final class CharacterConverter {
    // SAFETY: open from init to deinit, and used by the one function that calls `convert`.
    private let descriptor: iconv_t

    init?(from: String, to: String) {
        // glibc accepts suffixes such as `//TRANSLIT`; only a plain name is passed to it.
        guard !to.isEmpty, to.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != 0x2F }), let opened = unsafe iconv_open(to, from),
            unsafe opened != iconv_t(bitPattern: -1)
        else { return nil }
        unsafe descriptor = opened
    }

    deinit { _ = unsafe iconv_close(descriptor) }

    func convert(_ text: ByteBuffer) -> ByteBuffer? {
        var input = Array(text.readableBytesView).map { CChar(bitPattern: $0) }
        // No encoding needs more than four bytes for one byte of UTF-8, and a few more at the beginning and the end.
        var output = [CChar](repeating: 0, count: input.count * 4 + 32)
        let written: Int? = unsafe input.withUnsafeMutableBufferPointer { input in
            unsafe output.withUnsafeMutableBufferPointer { output in
                var (from, fromLeft) = (input.baseAddress, input.count)
                var (to, toLeft) = (output.baseAddress, output.count)
                // A result above 0 counts replaced characters; the last call writes the end of the text.
                guard unsafe iconv(descriptor, &from, &fromLeft, &to, &toLeft) == 0,
                    unsafe iconv(descriptor, nil, nil, &to, &toLeft) == 0
                else { return nil }
                return output.count - toLeft
            }
        }
        return written.map { ByteBuffer(bytes: output.prefix($0).map { UInt8(bitPattern: $0) }) }
    }
}
