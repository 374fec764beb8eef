// The files of the page, as they are and in gzip.

import ContentCoding
import NIOCore
import NIOHTTP1
import Testing

@testable import ViewServer

@Suite("The files of the page")
struct PageFileTests {
    private let file = PageFile(type: "text/css; charset=utf-8", ByteBuffer(string: String(repeating: "a { b: c }\n", count: 100)))

    private func response(_ fields: [(String, String)]) -> (status: UInt, fields: HTTPHeaders, body: ByteBuffer) {
        let response = file.response(to: HTTPHeaders(fields))
        guard case .bytes(let body) = response.body else { return (0, HTTPHeaders(), ByteBuffer()) }
        return (response.status.code, response.fields, body)
    }

    @Test(
        "A file is compressed for a request that accepts gzip, and rates it no lower than what is not compressed",
        arguments: [
            (nil, false), ("", false), ("gzip", true), ("GZIP", true), ("x-gzip", true), ("gzip, deflate, br, zstd", true),
            ("br", false), ("deflate;q=1, gzip;q=0.5", true), ("gzip;q=0", false), ("gzip; q=0.000", false), ("gzip;q=0.001", true),
            ("*", true), ("*;q=0", false), ("gzip;q=0, *", false), ("*;q=0, gzip", true), ("identity, gzip;q=0.5", false),
            ("identity;q=0.5, gzip", true), ("identity;q=0, gzip;q=0.1", true), ("gzip;q=x", false), (" gzip\t;\tq=1 ", true),
        ] as [(String?, Bool)])
    func negotiation(accepted: String?, isCompressed: Bool) {
        #expect(PageFile.prefersGzip(HTTPHeaders(accepted.map { [("Accept-Encoding", $0)] } ?? [])) == isCompressed)
    }

    @Test("Fields with one name are one list")
    func lists() { #expect(PageFile.prefersGzip([("Accept-Encoding", "br"), ("Accept-Encoding", "gzip")].headers)) }

    @Test("A compressed file has the same content, and says so")
    func compressed() {
        let (status, fields, body) = response([("Accept-Encoding", "gzip")])
        #expect(status == 200)
        #expect(fields["content-encoding"] == ["gzip"])
        #expect(fields["vary"] == ["Accept-Encoding"])
        #expect(fields["content-length"] == ["\(body.readableBytes)"])
        #expect(body.readableBytes < 100)
        #expect(decodeContent(body, codings: [ByteBuffer(string: "gzip")], maximum: 1 << 20).content == file.identity.bytes)
        let plain = response([])
        #expect(plain.fields["content-encoding"] == [])
        #expect(plain.fields["vary"] == ["Accept-Encoding"])
        #expect(plain.body == file.identity.bytes)
    }

    @Test("Each representation has its own tag, and is not sent again to a client that has it")
    func tags() throws {
        let tags = try [[], [("Accept-Encoding", "gzip")]].map { try #require(response($0).fields["etag"].first) }
        #expect(Set(tags).count == 2)
        #expect(tags.allSatisfy { $0.hasPrefix("\"") && $0.hasSuffix("\"") })
        let same = response([("If-None-Match", "\"x\", W/\(tags[0])")])
        #expect((same.status, same.body.readableBytes) == (304, 0))
        #expect(same.fields["etag"] == [tags[0]])
        #expect(same.fields["content-length"] == [])
        #expect(response([("If-None-Match", tags[0]), ("Accept-Encoding", "gzip")]).status == 200)
        #expect(response([("If-None-Match", tags[1]), ("Accept-Encoding", "gzip")]).status == 304)
        #expect(response([("If-None-Match", "*")]).status == 304)
    }
}

extension [(String, String)] {
    fileprivate var headers: HTTPHeaders { HTTPHeaders(self) }
}
