// Base64: the vectors of RFC 4648, its alphabets, and text that is not valid.

import HTTPSemantics
import NIOCore
import Testing

@Suite("Base64")
struct Base64Tests {
    private func decode(_ text: String, _ alphabet: Base64.Alphabet, ignoresWhitespace: Bool = false) -> String? {
        Base64.decode(ByteBuffer(string: text), alphabet, ignoresWhitespace: ignoresWhitespace).map { String(buffer: $0) }
    }

    @Test(
        "Bytes become the text of RFC 4648, and the text becomes the bytes again, with padding or without",
        arguments: [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ])
    func vectors(_ bytes: String, _ text: String) {
        #expect(Base64.encode(ByteBuffer(string: bytes)) == text)
        #expect(decode(text, .standard) == bytes)
        #expect(decode(text.filter { $0 != "=" }, .url) == bytes)
    }

    @Test(
        "The characters for 62 and 63 depend on the alphabet",
        arguments: [
            ("++//", .standard, true),
            ("++//", .url, false),
            ("++//", .any, true),
            ("--__", .standard, false),
            ("--__", .url, true),
            ("--__", .any, true),
        ] as [(String, Base64.Alphabet, Bool)])
    func alphabets(_ text: String, _ alphabet: Base64.Alphabet, _ isValid: Bool) {
        let bytes = Base64.decode(ByteBuffer(string: text), alphabet)
        #expect(bytes == (isValid ? ByteBuffer(bytes: [0xFB, 0xEF, 0xFF]) : nil))
    }

    @Test("Every byte survives")
    func everyByte() {
        let bytes = ByteBuffer(bytes: 0...UInt8.max)
        #expect(Base64.decode(ByteBuffer(string: Base64.encode(bytes))) == bytes)
    }

    @Test(
        "Text that is not valid is rejected: other characters, padding in the middle, a single character",
        arguments: ["Zg==Zg==", "Zm9v!", "Zm9vY", "Z", "Zm 9v", "Zm9v\u{E9}"])
    func invalid(_ text: String) {
        #expect(decode(text, .any) == nil)
    }

    @Test("White space is ignored where the caller allows it")
    func whitespace() {
        #expect(decode("Zm9v\r\n\tYmFy \n", .standard, ignoresWhitespace: true) == "foobar")
    }
}
