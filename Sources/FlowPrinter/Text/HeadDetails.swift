// What a line of a head holds in a form that is not readable: tokens and passwords in Base64, cookies and queries in percent-encoding. Below the
// line, from detail 3 on tokens and passwords, at detail 4 also the pairs of cookies and queries.

import ContentFormats
import FlowModel
import HTTPSemantics
import NIOCore

struct HeadDetails {
    /// Tokens that are read of each line.
    private static let maximumTokens = 8

    let style: TextStyle
    /// When the flow started: times of tokens are compared with it.
    let started: Timestamp

    /// Appends lines about a line of a head.
    /// - Parameter isStartLine: of HTTP/1.
    func write(_ line: ByteBuffer, isStartLine: Bool, into out: inout ByteBuffer) {
        if isStartLine {
            let words = line.readableBytesView.split(separator: 0x20)
            if words.count > 1 { target(ByteBuffer(words[1]), &out) }
        } else if let field = FieldSection(parsing: line).lines.first {
            self.field(line.slice(field.name), line.slice(field.value), &out)
        }
    }

    private func field(_ name: ByteBuffer, _ value: ByteBuffer, _ out: inout ByteBuffer) {
        if name.equalsIgnoringCase(":path") { return target(value, &out) }
        if name.equalsIgnoringCase("authorization") || name.equalsIgnoringCase("proxy-authorization") { basic(value, &out) }
        if name.equalsIgnoringCase("cookie"), style.detail > 3 {
            for part in value.readableBytesView.split(separator: UInt8(ascii: ";")) {
                for pair in FormPairs(ByteBuffer(part).trimmed()) { self.pair(pair.name, pair.value, &out) }
            }
        }
        var tokens = 0
        for part in value.readableBytesView.split(whereSeparator: { Self.separators.contains($0) })
        where part.first == UInt8(ascii: "e") {
            guard tokens < Self.maximumTokens else { return }
            tokens += 1
            if let token = JSONWebToken(ByteBuffer(part)) { write(token, &out) }
        }
    }

    private static let separators = Set(" \t;,=\"'".utf8)

    private func target(_ target: ByteBuffer, _ out: inout ByteBuffer) {
        guard style.detail > 3 else { return }
        for pair in FormPairs(queryOf: target) { self.pair(pair.name, pair.value, &out) }
    }

    private func pair(_ name: ByteBuffer, _ value: ByteBuffer, _ out: inout ByteBuffer) {
        line(&out) { out in
            out.writeVisible(name)
            out.writeStaticString(": ")
            out.writeVisible(value)
        }
    }

    /// RFC 7617.
    private func basic(_ value: ByteBuffer, _ out: inout ByteBuffer) {
        guard value.readableBytes > 6, value.slice(ByteRange(0, 6)).equalsIgnoringCase("basic "),
            let pair = Base64.decode(value.slice(ByteRange(6, value.readableBytes)).trimmed()),
            let colon = pair.readableBytesView.firstIndex(of: UInt8(ascii: ":"))
        else { return }
        let length = colon - pair.readerIndex
        line(&out) { out in
            out.writeStaticString("user ")
            out.writeVisible(pair.slice(ByteRange(0, length)))
            out.writeStaticString(", password ")
            out.writeVisible(pair.slice(ByteRange(length + 1, pair.readableBytes)))
        }
    }

    private func write(_ token: JSONWebToken, _ out: inout ByteBuffer) {
        line(&out) { out in
            out.writeStaticString("JWT ")
            out.writeVisible(token.header)
        }
        guard let claims = token.claims else { return line(&out) { $0.writeStaticString("encrypted") } }
        line(&out) { $0.writeVisible(claims) }
        let times = token.times.map { $0.text(comparedWith: started) }
        line(&out) { $0.writeString((times + ["signature not verified"]).joined(separator: ", ")) }
    }

    private func line(_ out: inout ByteBuffer, _ write: (inout ByteBuffer) -> Void) {
        out.writeStaticString("        ")
        style.palette.write(.muted, into: &out, write)
        out.writeStaticString("\n")
    }
}
