// Whole outputs of the views of MessagePack and CBOR.

import HTTPSemantics
import NIOCore
import Testing

@testable import FlowPrinter

private func bytes(_ hexadecimal: String) -> [UInt8] {
    let digits = hexadecimal.compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

@Suite("MessagePack as it is shown")
struct MessagePackViewTests {
    @Test(
        "Values are JSON; bytes and extensions are objects with names of their own",
        arguments: [
            ("82 a1 61 01 a1 62 92 c0 c3", "{\n  \"a\": 1,\n  \"b\": [\n    null,\n    true\n  ]\n}"),
            (
                "93 c4 02 00 ff d6 ff 00 00 00 01 a0",
                "[\n  {\"$bin\": \"AP8=\"},\n  {\"$ext\": -1, \"$bin\": \"AAAAAQ==\"},\n  \"\"\n]"
            ),
            ("82 01 e0 92 01 a1 61 80", "{\n  1: -32,\n  [1, \"a\"]: {}\n}"),
            ("cf ff ff ff ff ff ff ff ff", "18446744073709551615"),
            ("d3 80 00 00 00 00 00 00 00", "-9223372036854775808"),
            ("d0 80", "-128"),
            ("ca 3f 80 00 00", "1.0"),
            ("a4 22 0a 1b 5c", "\"\\\"\\n\\u001b\\\\\""),
            ("01 02", "1\n2"),
        ])
    func values(content: String, expected: String) {
        #expect(shown(bytes(content), "application/msgpack") == "MessagePack\n\(expected)\n")
    }

    @Test(
        "Damaged content is shown up to there, and the rest as bytes; other content in another way",
        arguments: [
            (
                "82 a1 61 01 a1 62 da 00",
                "MessagePack\n{\n  \"a\": 1,\n  \"b\": \n(byte 6: the content ends inside a value)\n00000000  da 00                                             ..\n"
            ),
            ("92 01", "MessagePack\n[\n  1\n(byte 2: the content ends inside a value)\n"),
            (
                "c1 00",
                "(shown as hex, not as messagepack: byte 0: a byte that MessagePack does not have)\n00000000  c1 00                                             ..\n"
            ),
            ("3c 68 74 6d 6c 3e", "(shown as text, not as messagepack: the content is text)\n<html>\n"),
        ])
    func damaged(content: String, expected: String) { #expect(shown(bytes(content), "application/x-msgpack") == expected) }

    @Test("A map of texts is known by its looks, in a message without a media type; other bytes are not")
    func looks() {
        #expect(shown(bytes("81 a1 61 c4 01 00")) == "MessagePack\n{\n  \"a\": {\"$bin\": \"AA==\"}\n}\n")
        #expect(shown(bytes("81 01 c4 01 00")).hasPrefix("00000000"))
        #expect(shown(bytes("81 a1 61 c4 01 00 00")).hasPrefix("00000000"))
    }

    @Test("Values in one another have a limit")
    func depth() {
        let deep = [UInt8](repeating: 0x91, count: 512) + [0x90]
        #expect(shown(deep, "application/msgpack").contains("(byte 512: nested deeper than 512 times)\n"))
        #expect(!shown(Array(deep.dropFirst()), "application/msgpack").contains("("))
    }
}

@Suite("CBOR as it is shown")
struct CBORViewTests {
    /// RFC 8949 appendix A.
    @Test(
        "The examples of the standard",
        arguments: [
            ("1b ff ff ff ff ff ff ff ff", "18446744073709551615"),
            ("c2 49 01 00 00 00 00 00 00 00 00", "18446744073709551616"),
            ("3b ff ff ff ff ff ff ff ff", "-18446744073709551616"),
            ("c3 49 01 00 00 00 00 00 00 00 00", "-18446744073709551617"),
            ("29", "-10"), ("39 03 e7", "-1000"),
            ("f9 00 00", "0.0"), ("f9 80 00", "-0.0"), ("f9 3c 00", "1.0"), ("f9 7b ff", "65504.0"),
            ("f9 00 01", "5.960464477539063e-08"),
            ("f9 04 00", "6.103515625e-05"), ("f9 c4 00", "-4.0"), ("fa 7f 7f ff ff", "3.4028234663852886e+38"),
            ("fb 7e 37 e4 3c 88 00 75 9c", "1e+300"), ("f9 7c 00", "Infinity"), ("f9 7e 00", "NaN"), ("f9 fc 00", "-Infinity"),
            ("f4", "false"), ("f6", "null"), ("f7", "undefined"), ("f0", "{\"$simple\": 16}"), ("f8 ff", "{\"$simple\": 255}"),
            ("c1 1a 51 4b 67 b0", "{\n  \"$tag\": 1,\n  \"$value\": 1363896240\n}"),
            ("d7 44 01 02 03 04", "{\n  \"$tag\": 23,\n  \"$value\": {\"$bin\": \"AQIDBA==\"}\n}"),
            ("63 c3 bc 6a", "\"üj\""),
            ("5f 42 01 02 43 03 04 05 ff", "{\"$bin\": \"AQIDBAU=\"}"),
            ("7f 65 73 74 72 65 61 64 6d 69 6e 67 ff", "\"streaming\""),
            ("9f 01 82 02 03 9f 04 05 ff ff", "[\n  1,\n  [\n    2,\n    3\n  ],\n  [\n    4,\n    5\n  ]\n]"),
            ("bf 63 46 75 6e f5 63 41 6d 74 21 ff", "{\n  \"Fun\": true,\n  \"Amt\": -2\n}"),
            ("a2 01 02 03 04", "{\n  1: 2,\n  3: 4\n}"), ("9f ff", "[]"), ("bf ff", "{}"),
            ("d9 d9 f7 80", "{\n  \"$tag\": 55799,\n  \"$value\": []\n}"),
            ("01 02", "1\n2"),
        ])
    func examples(content: String, expected: String) {
        #expect(shown(bytes(content), "application/cbor") == "CBOR\n\(expected)\n")
    }

    /// RFC 8949 appendix F.
    @Test(
        "Content that is not well-formed is shown up to there, with the reason",
        arguments: [
            "18", "1b 00", "41", "9b", "82 00", "bf", "bf 01", "c0", "f8", "f9 00", "5f 42 01", "9f", "a1 01", "a2 01 02", "1c",
            "3e", "5c",
            "fc", "f8 00", "f8 1f", "5f 00 ff", "5f 61 00 ff", "7f 41 00 ff", "5f 5f 41 00 ff ff", "ff", "81 ff", "a1 ff",
            "bf 00 ff", "1f",
            "3f", "df",
        ])
    func malformed(content: String) {
        let out = shown(bytes(content), "application/cbor")
        #expect(out.contains("(byte ") || out.hasPrefix("(shown as "), "\(out)")
    }

    @Test("A bignum of a size that is not shown in digits is bytes")
    func bignum() {
        let large: [UInt8] = [0xC2, 0x59, 0x01, 0x01] + [UInt8](repeating: 1, count: 257)
        #expect(shown(large, "application/cbor").hasPrefix("CBOR\n{\n  \"$tag\": 2,\n  \"$value\": {\"$bin\": \"AQEB"))
    }
}
