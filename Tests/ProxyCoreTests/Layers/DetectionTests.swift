// The detection of a protocol from the first bytes, alone.

import HTTPSemantics
import NIOCore
import Testing

@testable import ProxyCore

@Suite("The detection of a protocol")
struct DetectionTests {
    static let starts: [(String, DetectedProtocol)] = [
        ("", .undecided),
        ("\u{16}", .undecided),
        ("\u{16}\u{3}", .tls),
        ("\u{16}\u{3}\u{1}\u{2}", .tls),
        ("\u{16}\u{2}", .other),
        ("G", .undecided),
        ("GET", .undecided),
        ("GET /", .undecided),
        ("GET / ", .undecided),
        ("GET / HTT", .undecided),
        ("GET / HTTP/", .http),
        ("GET / HTTP/1.1", .http),
        ("GET / HTTP/1.1\r\n", .http),
        ("PRI * HTTP/2.0\r\n", .http),
        ("M-SEARCH * HTTP/1.1\r\n", .http),
        ("GET /\r\n", .other),
        ("NICK me\r\n", .other),
        ("OPTIONS rtsp://h/ RTSP/1.0\r\n", .other),
        (" GET / HTTP/1.1\r\n", .other),
        ("get / HTTP/1.1\r\n", .other),
        ("SSH-2.0-OpenSSH\r\n", .other),
        ("\u{1}\u{2}", .other),
        ("AVERYLONGMETHODWITHOUTANEND", .other),
    ]

    @Test("A decision does not change with the bytes that follow", arguments: starts)
    func isFinal(start: String, expected: DetectedProtocol) {
        for end in start.indices.dropFirst() {
            let early = DetectedProtocol(ByteBuffer(string: String(start[..<end])))
            #expect(early == .undecided || early == expected, "\(start[..<end])")
        }
    }

    @Test("A line that does not end is left to the decoder of HTTP")
    func long() {
        let path = String(repeating: "x", count: 20_000)
        #expect(DetectedProtocol(ByteBuffer(string: "GET /\(path.prefix(1000))")) == .undecided)
        #expect(DetectedProtocol(ByteBuffer(string: "GET /\(path)")) == .http)
    }

    @Test("The first bytes decide, as soon as they can", arguments: starts)
    func detects(start: String, expected: DetectedProtocol) {
        #expect(DetectedProtocol(ByteBuffer(string: start)) == expected)
    }
}
