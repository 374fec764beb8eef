// Messages of HTTP/2 and HTTP/3 as heads of HTTP/1.1, for formats that have no other (RFC 9113 section 8, RFC 9112).

import HTTPSemantics
import NIOCore

extension RequestHead {
    /// The head as HTTP/1.1 has it: the authority is the Host field, and the values of Cookie are on one line (RFC 9113 section 8.2.3).
    var asHTTP1: ByteBuffer {
        var head = HeadBytes()
        if !authorityRange.isEmpty, !fields.contains("host") { head.fields.append((ByteBuffer(string: "Host"), authority)) }
        head.add(fields)
        return head.request(
            version: .http1_1, method: method, scheme: scheme, authority: isMethod("CONNECT") ? authority : ByteBuffer(),
            path: target.readableBytes > 0 ? target : ByteBuffer(string: "/")
        ).wire
    }
}

extension ResponseHead {
    /// The head as HTTP/1.1 has it, with an empty reason phrase.
    var asHTTP1: ByteBuffer {
        var head = HeadBytes()
        head.add(fields)
        return head.response(version: .http1_1, status: status, reason: ByteBuffer()).wire
    }
}

extension HeadBytes {
    fileprivate mutating func add(_ section: FieldSection) {
        var hasCookie = false
        for line in section.lines {
            let name = section.slice(line.name)
            guard name.isName("cookie") else {
                fields.append((name, section.slice(line.value)))
                continue
            }
            if !hasCookie, let value = section.joined("cookie") { fields.append((name, value)) }
            hasCookie = true
        }
    }
}
