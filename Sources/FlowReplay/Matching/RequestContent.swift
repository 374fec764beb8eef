// The content of a request in comparable form: JSON and forms by meaning, without the parts to ignore.

import FlowModel
import HTTPSemantics
import JSONQuery
import NIOCore

/// Comparable content: equal if the rules make the requests equal.
package enum RequestContent {
    /// Larger content is compared byte by byte.
    static let maximumParsed = 16 * 1024 * 1024

    /// The digest of the content; 0 if there is none or content is ignored.
    package static func digest(_ content: ByteBuffer, _ fields: FieldSection, _ rules: MatchRules) -> UInt64 {
        guard !rules.ignore.body, rules.body != .none, content.readableBytes > 0 else { return 0 }
        let form = comparable(content, fields, rules)
        var hash = ByteHash()
        hash.add(form)
        return hash.value | 1
    }

    /// The digest of content of which only the beginning is recorded. It is compared byte by byte.
    static func digest(_ cut: ContentCut) -> UInt64 {
        var hash = ByteHash()
        hash.add(cut.size)
        hash.add(cut.sha256)
        return hash.value | 1
    }

    static func comparable(_ content: ByteBuffer, _ fields: FieldSection, _ rules: MatchRules) -> ByteBuffer {
        guard content.readableBytes <= maximumParsed else { return content }
        let type = fields.first("content-type").map { String(buffer: $0).lowercased() } ?? ""
        let isAuto = rules.body == .auto
        if rules.body == .json || (isAuto && type.contains("json")), let tree = JSONTree(parsing: content) {
            var out = ByteBuffer()
            rules.ignore.jsonPaths.reduce(tree) { $0.removing($1) }.canonical.write(into: &out)
            return out
        }
        if rules.body == .form || (isAuto && type.hasPrefix("application/x-www-form-urlencoded")) {
            var pairs: [String] = []
            content.forEachParameter { name, whole in
                let text = String(buffer: name.formDecoded)
                if !rules.ignore.formNames.contains(text) { pairs.append(String(buffer: whole)) }
            }
            return ByteBuffer(string: pairs.sorted().joined(separator: "&"))
        }
        if rules.body == .form || isAuto, type.hasPrefix("multipart/"), let field = fields.first("content-type"),
            let boundary = Self.boundary(in: String(buffer: field))
        {
            return content.removing(boundary)
        }
        return content
    }

    /// The separator of the parts (RFC 2046 section 5.1.1). Clients generate it for each request.
    private static func boundary(in type: String) -> ByteBuffer? {
        for parameter in type.split(separator: ";").dropFirst() {
            let text = parameter.drop { $0 == " " }
            guard text.lowercased().hasPrefix("boundary=") else { continue }
            let value = text.dropFirst(9).filter { $0 != "\"" }
            return value.isEmpty ? nil : ByteBuffer(string: value)
        }
        return nil
    }
}

extension ByteBuffer {
    /// The bytes without each occurrence of a text after two hyphens.
    fileprivate func removing(_ text: ByteBuffer) -> ByteBuffer {
        let (bytes, part) = (readableBytesUInt8Span, text.readableBytesUInt8Span)
        func stands(at start: Int) -> Bool {
            guard start >= 2, bytes[start - 1] == 0x2D, bytes[start - 2] == 0x2D, start + part.count <= bytes.count else {
                return false
            }
            for index in 0..<part.count where bytes[start + index] != part[index] { return false }
            return true
        }
        var out = ByteBuffer()
        out.reserveCapacity(bytes.count)
        var (kept, index) = (0, 0)
        while index < bytes.count {
            if stands(at: index) {
                out.writeImmutableBuffer(slice(ByteRange(kept, index)))
                index += part.count
                kept = index
            } else {
                index += 1
            }
        }
        out.writeImmutableBuffer(slice(ByteRange(kept, index)))
        return out
    }
}
