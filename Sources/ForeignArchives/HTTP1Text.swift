// Heads as HTTP/1 has them, for formats that have no other (RFC 9113 section 8, RFC 9112).

import HTTPSemantics
import NIOCore

extension RequestHead {
    /// The head as HTTP/1 has it: the authority is the Host field, and the values of Cookie are on one line (RFC 9113 section 8.2.3).
    /// - Parameter framing: replaces the fields of framing.
    func http1(_ framing: ContentFraming? = nil) -> ByteBuffer {
        var head = HeadBytes()
        if !authorityRange.isEmpty, !fields.contains("host") { head.fields.append((ByteBuffer(string: "Host"), authority)) }
        head.add(fields, framing)
        return head.request(
            version: version.major < 2 ? version : .http1_1, method: method, scheme: scheme,
            authority: isMethod("CONNECT") ? authority : ByteBuffer(),
            path: target.readableBytes > 0 ? target : ByteBuffer(string: "/")
        ).wire
    }
}

extension ResponseHead {
    /// The head as HTTP/1 has it; one of HTTP/2 has an empty reason phrase.
    /// - Parameter framing: replaces the fields of framing.
    func http1(_ framing: ContentFraming? = nil) -> ByteBuffer {
        var head = HeadBytes()
        head.add(fields, framing)
        let isHTTP1 = version.major < 2
        return head.response(
            version: isHTTP1 ? version : .http1_1, status: status, reason: isHTTP1 ? wire.slice(reasonRange) : ByteBuffer()
        ).wire
    }
}

extension HeadBytes {
    fileprivate mutating func add(_ section: FieldSection, _ framing: ContentFraming?) {
        var hasCookie = false
        for line in section.lines {
            let name = section.slice(line.name)
            if framing != nil, name.isName("content-length") || name.isName("transfer-encoding") { continue }
            guard name.isName("cookie") else {
                fields.append((name, section.slice(line.value)))
                continue
            }
            if !hasCookie, let value = section.joined("cookie") { fields.append((name, value)) }
            hasCookie = true
        }
        if let (name, value) = framing?.field { fields.append((ByteBuffer(string: name), ByteBuffer(string: value))) }
    }
}
