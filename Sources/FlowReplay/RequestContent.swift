// The content of a request in the form in which it is compared: JSON and forms by what they mean, less what is ignored.

import FlowModel
import HTTPSemantics
import NIOCore

/// Content made comparable: equal when the rules say that the requests are.
package enum RequestContent {
    /// Larger content is compared byte by byte.
    static let maximumParsed = 16 * 1024 * 1024

    /// A number that stands for the content; 0 for none and where content does not count.
    package static func digest(_ content: ByteBuffer, _ fields: FieldSection, _ rules: MatchRules) -> UInt64 {
        guard !rules.ignore.body, rules.body != .none, content.readableBytes > 0 else { return 0 }
        let form = comparable(content, fields, rules)
        var hash = ByteHash()
        hash.add(form)
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
                let text = String(buffer: name).removingPercentEncodingOfNames
                if !rules.ignore.formNames.contains(text) { pairs.append(String(buffer: whole)) }
            }
            return ByteBuffer(string: pairs.sorted().joined(separator: "&"))
        }
        return content
    }
}
