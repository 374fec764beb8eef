// Text in other character sets, tokens, and archives.

import FlowModel
import HTTPSemantics
import NIOCore
import Testing

@testable import FlowPrinter

@Suite("Character sets, tokens and archives")
struct CharacterSetTests {
    static let texts: [(bytes: [UInt8], type: String?, text: String)] = [
        ([0x47, 0xFC, 0x80], "text/plain; charset=iso-8859-1", "Gü€\n"), ([0x47, 0xFC], "text/plain", "Gü\n"),
        ([0x93, 0xFA, 0x96, 0x7B], "text/plain; charset=\"Shift_JIS\"", "日本\n"),
        (Array("<meta charset=sjis><p>".utf8) + [0x93, 0xFA], "text/html", "<meta charset=sjis>\n<p>日\n"),
        (
            Array("<?xml version='1.0' encoding='windows-1251'?><a>".utf8) + [0xE6] + Array("</a>".utf8), "text/xml",
            "<?xml version='1.0' encoding='windows-1251'?>\n<a>ж</a>\n"
        ),
        ([0xFF, 0xFE, 0x7B, 0, 0x7D, 0], "application/json", "{}\n"), ([0xFE, 0xFF, 0, 0x61, 0x20, 0xAC], nil, "a€\n"),
        ([0x7B, 0, 0x7D, 0], "application/json", "{}\n"), ([0xEF, 0xBB, 0xBF, 0x7B, 0x7D], "application/json", "{}\n"),
        ([0, 0, 0xFE, 0xFF, 0, 0, 0, 0x61], "text/plain", "a\n"),
        // No text: no mark, no known encoding, control characters.
        ([0xFF, 0xFB, 0x90, 0x44], nil, "00000000  ff fb 90 44                                       ...D\n"),
        ([0xFF, 0xFE, 0x01, 0, 0x02, 0], nil, "00000000  ff fe 01 00 02 00                                 ......\n"),
        ([0x61, 0xE9, 0], "text/plain", "00000000  61 e9 00                                          a..\n"),
    ]

    @Test("Text is shown in its character set", arguments: texts.indices)
    func showText(_ index: Int) {
        #expect(shown(Self.texts[index].bytes, Self.texts[index].type) == Self.texts[index].text)
    }

    @Test("A dump has the bytes as they were sent")
    func dump() {
        #expect(
            shown([0xFE, 0xFF, 0, 0x61], "text/plain", as: "hex")
                == "00000000  fe ff 00 61                                       ...a\n")
    }

    /// `{"alg":"HS256"}`, `{"sub":"42","exp":1700000100,"x":{"iat":1}}`.
    static let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiIsImV4cCI6MTcwMDAwMDEwMCwieCI6eyJpYXQiOjF9fQ.c2ln"

    @Test("A token is shown with its times, and as not verified")
    func jwt() {
        #expect(
            shown(Self.token + "\n") == """
                {
                  "alg": "HS256"
                }
                {
                  "sub": "42",
                  "exp": 1700000100,
                  "x": {
                    "iat": 1
                  }
                }
                (expires 2023-11-14T22:15:00Z)
                (signature not verified)

                """)
        #expect(shown("eyJhbGciOiJIUzI1NiJ9.x") == "eyJhbGciOiJIUzI1NiJ9.x\n")
    }

    @Test("Tokens, passwords, cookies and queries are readable below the lines of a head")
    func heads() throws {
        let head =
            "GET /a?q=a%20b&r HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \(Self.token)\r\nProxy-Authorization: Basic dTpwOnc=\r\n"
            + "Cookie: a=1; b=%C3%A9\r\n\r\n"
        let shown = { (detail: Int) in
            try text(flow(.http, [(0, request(head)), (0, .finished(.client))]), detail: detail).split(separator: "\n").drop {
                !$0.hasPrefix("    GET")
            }.map { String($0.dropFirst(4)) }
        }
        let lines = head.split(separator: "\r\n").map { String($0) }
        #expect(try shown(2) == lines)
        let token = [
            #"    JWT {"alg":"HS256"}"#, #"    {"sub":"42","exp":1700000100,"x":{"iat":1}}"#,
            "    expires 2023-11-14T22:15:00Z (99 s later), signature not verified",
        ]
        let basic = ["    user u, password p:w"]
        #expect(try shown(3) == Array(lines[0..<3]) + token + [lines[3]] + basic + [lines[4]])
        #expect(
            try shown(4) == [lines[0], "    q: a b", "    r: "] + Array(lines[1..<3]) + token + [lines[3]] + basic
                + [lines[4], "    a: 1", "    b: é"])
    }

    @Test("The files of a ZIP archive are listed")
    func zip() {
        // One stored file, `a.txt` of 2 bytes, of 2026-11-27 21:14.
        let local: [UInt8] =
            [0x50, 0x4B, 3, 4, 20, 0, 0, 0, 0, 0, 0xC0, 0xA9, 0x7B, 0x5D, 1, 2, 3, 4, 2, 0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0]
            + Array("a.txt".utf8) + [0x68, 0x69]
        let central: [UInt8] =
            [0x50, 0x4B, 1, 2, 20, 0, 20, 0, 0, 0, 0, 0, 0xC0, 0xA9, 0x7B, 0x5D, 1, 2, 3, 4, 2, 0, 0, 0, 2, 0, 0, 0, 5, 0]
            + [UInt8](repeating: 0, count: 16) + Array("a.txt".utf8)
        let end: [UInt8] = [
            0x50, 0x4B, 5, 6, 0, 0, 0, 0, 1, 0, 1, 0, UInt8(central.count), 0, 0, 0, UInt8(local.count), 0, 0, 0, 0, 0,
        ]
        let list = "2 B, stored, 2026-11-27 21:14  a.txt\n"
        #expect(shown(local + central + end) == "ZIP archive, 1 file\n" + list)
        var two = end
        two[10] = 2
        #expect(shown(local + central + two) == "ZIP archive, 2 files\n" + list + "(the list of files is damaged from here on)\n")
        for length in 0..<(local + central + end).count { _ = shown((local + central + end).prefix(length), as: "zip") }
    }
}
