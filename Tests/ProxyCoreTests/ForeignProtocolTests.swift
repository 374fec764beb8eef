import FlowModel
import NIOCore
import TestSupport
import Testing

@testable import ProxyCore

@Suite("Another protocol where HTTP is expected")
struct ForeignProtocolTests {
    private static let unknown = "the client does not speak HTTP"

    static let foreign: [([UInt8], String)] = [
        ([5, 1, 0], "\(unknown); it looks like SOCKS 5, which --mode socks5 takes"),
        ([5], "\(unknown); it looks like SOCKS 5, which --mode socks5 takes"),
        ([4, 1, 0, 80, 192, 0, 2, 1, 0], "\(unknown); it looks like SOCKS 4; --mode socks5 takes SOCKS 5"),
        (
            [0x16, 3, 1, 2, 0, 1],
            "\(unknown); it looks like TLS, and this port is spoken to in the clear (http://, not https://)"
        ),
        ([0x80, 0x2E, 1, 0, 2], "\(unknown); it looks like SSL 2"),
        ([0, 0, 0, 8, 4, 0xD2, 0x16, 0x2F], unknown),
        (Array("NICK me\r\n".utf8), "\(unknown); it looks like IRC"),
        (Array("SSH-2.0-OpenSSH_9.2\r\n".utf8), "\(unknown); it looks like SSH"),
        (Array("EHLO there\r\n".utf8), "\(unknown); it looks like SMTP"),
        (Array("*1\r\n$4\r\nPING\r\n".utf8), "\(unknown); it looks like Redis"),
        (Array("OPTIONS rtsp://h/ RTSP/1.0\r\n".utf8), "\(unknown); it looks like RTSP"),
        (Array("GET /\r\n".utf8), "\(unknown): its first line does not end in a version of HTTP"),
        (Array("<?xml version='1.0'?>".utf8), unknown),
    ]

    @Test("It is refused with the first bytes that tell, and told what it looks like", arguments: foreign)
    func refused(bytes: [UInt8], message: String) throws {
        for mode in ["regular", "reverse:http://a.example"] where !(mode != "regular" && bytes[0] == 0x16) {
            let play = try Playbook(mode)
            let lines = play.deliver(.received(.client, ByteBuffer(bytes: bytes)))
            #expect(lines.first?.hasPrefix("send client: HTTP/1.1 400 Bad Request\r\n") == true)
            #expect(lines.first?.hasSuffix("mitm: \(message)\n") == true)
            #expect(Array(lines.dropFirst()) == ["finish client"])
            #expect(play.flows.count == 1)
            #expect(play.flows.first?.hasSuffix(" ! client: \(message)") == true)
            // The flow tells it; the log does not say it again.
            #expect(play.log == [])
        }
    }

    @Test("In pieces it is refused as well", arguments: foreign)
    func inPieces(bytes: [UInt8], message: String) throws {
        let play = try Playbook()
        var lines: [String] = []
        for byte in bytes where lines.isEmpty { lines = Array(play.deliver(.received(.client, ByteBuffer(bytes: [byte])))) }
        #expect(lines.first?.hasPrefix("send client: HTTP/1.1 400 Bad Request\r\n") == true)
    }

    @Test("After CONNECT the first line is left to the decoder")
    func tunnelled() throws {
        let play = try Playbook()
        play.skip { play.client(sends: "CONNECT a.example:80 HTTP/1.1\r\nHost: a.example\r\n\r\n") }
        play.skip { play.serverOpens() }
        for text in ["GET ", "HTTP/1.1\r\n\r\n"] { play.skip { play.client(sends: text) } }
        #expect(play.flows.last?.hasSuffix(" ! client: the request-line is not 'method target version'") == true)
    }

    @Test(
        "After CONNECT a line without a version of HTTP is relayed, in whatever pieces it comes",
        arguments: [["GET ", "/\r\n"], ["GET /\r\n"]])
    func relayed(pieces: [String]) throws {
        let play = try Playbook()
        play.skip {
            play.client(sends: "CONNECT a.example:80 HTTP/1.1\r\nHost: a.example\r\n\r\n")
            play.serverOpens()
        }
        for piece in pieces.dropLast() { #expect(play.client(sends: piece) == []) }
        #expect(play.client(sends: pieces.last ?? "") == ["send upstream 1: GET /\r\n"])
    }

    @Test(
        "What may be HTTP is left to its decoder, in pieces too",
        arguments: [
            "GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n", "\r\n\r\nget-it http://a.example/ HTTP/1.0\r\n\r\n",
            "M-SEARCH http://a.example/*1 HTTP/1.1\nHost: a.example\n\n",
        ])
    func http(text: String) throws {
        let whole = try Playbook()
        #expect(whole.client(sends: text) == ["open upstream 1: a.example:80"])
        let play = try Playbook()
        var lines: [String] = []
        for byte in text.utf8 { lines += play.deliver(.received(.client, ByteBuffer(bytes: [byte]))) }
        #expect(lines == ["open upstream 1: a.example:80"])
    }

    @Test(
        "A SOCKS port says so too",
        arguments: [
            ("\u{4}\u{1}", "the client speaks SOCKS 4, which has no names"),
            ("\u{16}\u{3}\u{1}", "the client does not speak SOCKS 5; it looks like TLS"),
            ("hello", "the client does not speak SOCKS 5"),
        ])
    func socks(text: String, message: String) throws {
        let play = try Playbook("socks5")
        #expect(play.client(sends: text) == ["finish client"])
        #expect(play.flows.first?.hasSuffix(" ! client: \(message)") == true)
    }
}
