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
}
