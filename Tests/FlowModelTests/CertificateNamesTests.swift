import FlowModel
import Foundation
import NIOCore
import TestSupport
import Testing

/// A certificate made by OpenSSL 3: names of every kind, in UTF-8.
private let leaf = ByteBuffer(
    bytes: Data(
        base64Encoded: """
            MIICXjCCAgSgAwIBAgIUBXO86fdPjI+sao7py/Pzjz+UQagwCgYIKoZIzj0EAwIw
            ODELMAkGA1UEBhMCVVMxFzAVBgNVBAoMDlRlc3QgQXV0aG9yaXR5MRAwDgYDVQQD
            DAdSb290IFIxMCAXDTI2MTEyNzIwMjkxMloYDzIxMjYxMTAzMjAyOTEyWjCBhjEL
            MAkGA1UEBhMCREUxITAfBgNVBAoMGEdyb8OfaGFuZGVsICwgQSAmIFPDtmhuZTEM
            MAoGA1UECwwDb25lMRwwGgYJKoZIhvcNAQkBFg1hQGV4YW1wbGUub3JnMRUwEwYD
            VQQDDAxob3N0LmV4YW1wbGUxETAPBgiHGIb3DQEJAgwDb2RkMFkwEwYHKoZIzj0C
            AQYIKoZIzj0DAQcDQgAESbIGeQoEGE+RumVf0xCJd3iMJ67WAapfmNPcQTTCsaaX
            IePWZGpFaZM51QYdDmUswECNpiF7IoVKZrpg5MdQ9aOBmjCBlzAMBgNVHRMBAf8E
            AjAAMGgGA1UdEQEB/wReMFyCC3d3dy5leGFtcGxlgg0qLmFwaS5leGFtcGxlhwTA
            AAIBhxAgAQ24AAAAAAAAAAAAAAABhhNodHRwczovL3guZXhhbXBsZS95gQ1iQGV4
            YW1wbGUub3JniAIqAzAdBgNVHQ4EFgQUaZueIzMRruTXAv9UerZm0hcIHDAwCgYI
            KoZIzj0EAwIDSAAwRQIgGBLOYwevffWxDOmWU9QEgnG6LNe9Cba23Fi/jr+mk78C
            IQDmf06SjO+163uly7QJ4qS79kjYqmCGSfC5r0fWsaRY0w==
            """, options: .ignoreUnknownCharacters)!)

@Suite("The names in a certificate")
struct CertificateNamesTests {
    @Test("Subject, issuer and alternative names are lines, in the order of the certificate")
    func names() throws {
        let names = try #require(certificateNames(leaf))
        #expect(
            String(buffer: names) == """
                subject: C=DE, O=Großhandel , A & Söhne, OU=one, emailAddress=a@example.org, CN=host.example, 2.840.113549.1.9.2=odd
                issuer: C=US, O=Test Authority, CN=Root R1
                name: www.example
                name: *.api.example
                name: 192.0.2.1
                name: 2001:db8::1
                name: https://x.example/y
                name: b@example.org

                """)
    }

    @Test("Every type of string is text; a control character does not begin a line")
    func strings() throws {
        func element(_ tag: UInt8, _ content: [UInt8]) -> [UInt8] {
            (content.count < 0x80 ? [tag, UInt8(content.count)] : [tag, 0x81, UInt8(content.count)]) + content
        }
        func name(_ strings: [[UInt8]]) -> [UInt8] {
            element(0x30, strings.flatMap { element(0x31, element(0x30, [6, 3, 0x55, 4, 3] + $0)) })
        }
        let strings: [[UInt8]] = [
            element(0x0C, Array("ü".utf8)), element(0x13, Array("p".utf8)), element(0x14, [0xFC]), element(0x16, Array("i".utf8)),
            element(0x1E, [0, 0x62, 0xD8, 0x3D, 0xDE, 0]), element(0x1C, [0, 0, 0, 0x75, 0, 1, 0xF6, 0]), element(0x03, [0, 0xAB]),
            element(0x0C, Array("a\nname: b".utf8)),
        ]
        let empty = element(0x30, [])
        let fields = element(0x30, element(2, [1]) + empty + empty + empty + name(strings))
        let names = try #require(certificateNames(ByteBuffer(bytes: element(0x30, fields))))
        #expect(
            String(buffer: names)
                == "subject: CN=ü, CN=p, CN=ü, CN=i, CN=b😀, CN=u😀, CN=#00ab, CN=a\u{FFFD}name: b\nissuer: \n")
    }

    @Test("Bytes that are not a certificate, cut ones and changed ones never trap")
    func damaged() {
        #expect(certificateNames(ByteBuffer()) == nil)
        #expect(certificateNames(ByteBuffer(string: "-----BEGIN CERTIFICATE-----")) == nil)
        for count in 0..<leaf.readableBytes { _ = certificateNames(leaf.getSlice(at: 0, length: count)!) }
        var generator = SeededGenerator(seed: 9)
        for offset in 0..<leaf.readableBytes {
            for value in [0, 0x7F, 0x80, 0xFF, UInt8.random(in: 0...255, using: &generator)] {
                var changed = leaf
                changed.setInteger(value, at: offset)
                _ = certificateNames(changed)
            }
        }
    }
}
