import ContentCoding
import NIOCore
import Testing

@Suite("Character encodings")
struct CharacterEncodingTests {
    @Test(
        "Text is encoded by the name of a charset, or not at all",
        arguments: [
            ("日本", "Shift_JIS", [0x93, 0xFA, 0x96, 0x7B]), ("日本", "EUC-JP", [0xC6, 0xFC, 0xCB, 0xDC]), ("é", "iso-8859-1", [0xE9]),
            ("€", "windows-1252", [0x80]), ("€", "iso-8859-1", nil), ("é", "us-ascii", nil), ("a", "none-such", nil),
            ("é", "us-ascii//TRANSLIT", nil), ("", "Shift_JIS", []),
            ("日", "iso-2022-jp", [0x1B, 0x24, 0x42, 0x46, 0x7C, 0x1B, 0x28, 0x42]),
        ] as [(String, String, [UInt8]?)])
    func encoding(text: String, charset: String, bytes: [UInt8]?) {
        #expect(encodeText(ByteBuffer(string: text), charset: charset) == bytes.map { ByteBuffer(bytes: $0) })
    }

    @Test("Bytes that are not UTF-8 are not encoded")
    func notText() {
        #expect(encodeText(ByteBuffer(bytes: [0x63, 0xE9]), charset: "iso-8859-1") == nil)
    }

    @Test(
        "Bytes are decoded by the labels of the web",
        arguments: [
            ("日本", "sjis", [0x93, 0xFA, 0x96, 0x7B]), ("日本", "EUC-JP", [0xC6, 0xFC, 0xCB, 0xDC]),
            ("é€", "iso-8859-1", [0xE9, 0x80]),
            ("中", "gb2312", [0xD6, 0xD0]), ("한", "euc-kr", [0xC7, 0xD1]), ("中", "big5", [0xA4, 0xA4]), ("ж", "koi8-r", [0xD6]),
            ("ж", "Windows-1251", [0xE6]), ("ş", "iso-8859-9", [0xFE]), ("a𝄞", "utf-16be", [0, 0x61, 0xD8, 0x34, 0xDD, 0x1E]),
            ("a", "utf-32", [0x61, 0, 0, 0]), ("日", "iso-2022-jp", [0x1B, 0x24, 0x42, 0x46, 0x7C, 0x1B, 0x28, 0x42]),
            ("\u{FFFD}a", "sjis", [0xFF, 0x61]), ("a\u{FFFD}", "utf-16le", [0x61, 0, 0x62]),
            ("\u{FFFD}b", "utf-16le", [0, 0xD8, 0x62, 0]), ("\u{FFFD}", "utf-8", [0xE9]), ("", "utf-8", []),
            (nil, "iso-2022-cn-ext", [0x61]), (nil, "utf-8//IGNORE", [0x61]), (nil, "", [0x61]), (nil, "iso-8859-12", [0x61]),
        ] as [(String?, String, [UInt8])])
    func decoding(text: String?, charset: String, bytes: [UInt8]) {
        #expect(decodeText(ByteBuffer(bytes: bytes), charset: charset) == text.map { ByteBuffer(string: $0) })
    }

    @Test("Text longer than a piece of the converter is decoded whole")
    func long() {
        let text = String(repeating: "日本語a", count: 50_000)
        let bytes = encodeText(ByteBuffer(string: text), charset: "utf-16le")
        #expect(bytes.flatMap { decodeText($0, charset: "utf-16le") } == ByteBuffer(string: text))
    }
}
