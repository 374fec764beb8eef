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

/// Decodes text. Bytes that have no meaning in the encoding become U+FFFD.
/// - Parameter charset: a label of the WHATWG's Encoding Standard, for example `sjis`, or `utf-32`. Only these are passed to the C library, which
///   has rare encodings too, some without maintenance.
/// - Returns: UTF-8; nil if the encoding is not known.
package func decodeText(_ bytes: ByteBuffer, charset: String) -> ByteBuffer? {
    guard let encoding = TextEncoding(label: charset), let converter = CharacterConverter(from: encoding.name, to: "UTF-8") else {
        return nil
    }
    return converter.decode(bytes, unit: encoding.unit)
}

/// An encoding that text is decoded from.
private struct TextEncoding {
    /// For the C library.
    let name: String
    /// Bytes of the smallest unit.
    var unit: Int { name.hasPrefix("UTF-16") ? 2 : name.hasPrefix("UTF-32") ? 4 : 1 }

    init?(label: String) {
        let label = label.lowercased()
        if let name = Self.labels[label] {
            self.name = name
        } else if let number = label.firstMatch(of: #/^(?:cs)?iso[-_]?8859[-_]?([0-9]+)(?:[-_:].*)?$/#)?.1, let part = Int(number),
            Self.parts.contains(part)
        {
            name = part == 1 ? "CP1252" : part == 9 ? "CP1254" : part == 11 ? "CP874" : "ISO-8859-\(part)"
        } else if let number = label.firstMatch(of: #/^(?:windows-|x-cp|cp)(125[0-8]|874)$/#)?.1 {
            name = "CP\(number)"
        } else {
            return nil
        }
    }

    private static let parts: Set<Int> = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16]

    /// Supersets stand for the encodings that pages name, as in browsers.
    private static let labels: [String: String] = [
        "utf-8": "UTF-8", "utf8": "UTF-8", "us-ascii": "CP1252", "ascii": "CP1252", "latin1": "CP1252", "l1": "CP1252",
        "utf-16": "UTF-16LE", "utf-16le": "UTF-16LE", "utf-16be": "UTF-16BE", "unicode": "UTF-16LE", "ucs-2": "UTF-16LE",
        "utf-32": "UTF-32LE", "utf-32le": "UTF-32LE", "utf-32be": "UTF-32BE",
        "shift_jis": "CP932", "shift-jis": "CP932", "sjis": "CP932", "x-sjis": "CP932", "windows-31j": "CP932", "ms_kanji": "CP932",
        "ms932": "CP932", "euc-jp": "EUC-JP-MS", "x-euc-jp": "EUC-JP-MS", "iso-2022-jp": "ISO-2022-JP",
        "gbk": "GB18030", "gb2312": "GB18030", "gb18030": "GB18030", "x-gbk": "GB18030", "gb_2312-80": "GB18030",
        "chinese": "GB18030",
        "big5": "BIG5-HKSCS", "big5-hkscs": "BIG5-HKSCS", "x-x-big5": "BIG5-HKSCS",
        "euc-kr": "CP949", "ks_c_5601-1987": "CP949", "korean": "CP949", "windows-949": "CP949", "ksc5601": "CP949",
        "koi8-r": "KOI8-R", "koi8": "KOI8-R", "koi8-u": "KOI8-U", "ibm866": "CP866", "cp866": "CP866", "macintosh": "MACINTOSH",
        "x-mac-roman": "MACINTOSH", "x-mac-cyrillic": "MAC-CYRILLIC", "tis-620": "CP874",
    ]
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

    /// Converts piece by piece.
    /// - Parameter unit: bytes that are skipped where they have no meaning.
    func decode(_ bytes: ByteBuffer, unit: Int) -> ByteBuffer {
        var text = ByteBuffer()
        text.reserveCapacity(bytes.readableBytes)
        var output = [CChar](repeating: 0, count: 64 * 1024)
        unsafe bytes.withUnsafeReadableBytes { bytes in
            // SAFETY: iconv(3) does not write to its input, and moves both pointers within the counts that it is given.
            var from = unsafe UnsafeMutablePointer(mutating: bytes.baseAddress?.assumingMemoryBound(to: CChar.self))
            var fromLeft = bytes.count
            while fromLeft > 0 {
                let result = unsafe output.withUnsafeMutableBufferPointer { output in
                    var (to, toLeft) = (output.baseAddress, output.count)
                    let result = unsafe iconv(descriptor, &from, &fromLeft, &to, &toLeft)
                    let failure = result == -1 ? errno : 0
                    unsafe text.writeBytes(
                        UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(output)[..<(output.count - toLeft)]))
                    return failure
                }
                guard result != 0, result != E2BIG else { continue }
                text.writeStaticString("\u{FFFD}")
                // EINVAL: the text ends within a character.
                let skipped = result == EILSEQ ? min(unit, fromLeft) : fromLeft
                unsafe from = from?.advanced(by: skipped)
                fromLeft -= skipped
            }
        }
        return text
    }

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
