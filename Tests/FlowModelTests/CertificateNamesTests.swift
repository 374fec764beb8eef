import FlowModel
import Foundation
import NIOCore
import TestSupport
import Testing

@Suite("The names in a certificate")
struct CertificateNamesTests {
    @Test("Subject, issuer and alternative names are lines, in the order of the certificate")
    func names() throws {
        let names = try #require(certificateNames(sampleCertificate))
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
        for count in 0..<sampleCertificate.readableBytes { _ = certificateNames(sampleCertificate.getSlice(at: 0, length: count)!) }
        var generator = SeededGenerator(seed: 9)
        for offset in 0..<sampleCertificate.readableBytes {
            for value in [0, 0x7F, 0x80, 0xFF, UInt8.random(in: 0...255, using: &generator)] {
                var changed = sampleCertificate
                changed.setInteger(value, at: offset)
                _ = certificateNames(changed)
            }
        }
    }
}
