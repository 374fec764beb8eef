// The parts of a message to ignore when a request is matched with recorded ones, or a response is compared with one.

import JSONQuery

/// A rule that is not valid, in one sentence.
package struct ReplayRuleError: Error, Sendable, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}

/// The parts to ignore.
package struct IgnoreRules: Sendable, Equatable {
    package var host = false
    package var port = false
    package var scheme = false
    package var body = false
    /// The whole query.
    package var query = false
    package var queryNames: Set<String> = []
    package var formNames: Set<String> = []
    package var jsonPaths: [JSONPath] = []
    /// Names of header fields, in lower case.
    package var headers: Set<String> = []

    /// The kind of comparison: not every part applies to both.
    package enum Use: Sendable {
        /// A request with recorded ones. Scheme and port are always ignored.
        case matching
        /// A response with the recorded one.
        case responses
    }

    package init() {}

    /// - Parameter texts: `host`, `body`, `json:PATH`; for requests also `port`, `scheme`, `query`, `query:NAME`, `form:NAME`; for
    ///   responses also `header:NAME`.
    package init(_ texts: [String], for use: Use) throws(ReplayRuleError) {
        for text in texts { try add(text, use) }
    }

    private mutating func add(_ text: String, _ use: Use) throws(ReplayRuleError) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let argument = parts.count == 2 && !parts[1].isEmpty ? parts[1] : nil
        switch (parts[0], argument, use) {
        case ("host", nil, _) where parts.count == 1: host = true
        case ("body", nil, _) where parts.count == 1: body = true
        case ("port", nil, .matching) where parts.count == 1: port = true
        case ("scheme", nil, .matching) where parts.count == 1: scheme = true
        case ("query", nil, .matching) where parts.count == 1: query = true
        case ("query", let name?, .matching): queryNames.insert(name)
        case ("form", let name?, .matching): formNames.insert(name)
        case ("header", let name?, .responses): headers.insert(name.lowercased())
        case ("json", let path?, _):
            jsonPaths.append(try Self.path(path))
        default:
            let known =
                use == .matching
                ? "host, port, scheme, body, query, query:NAME, form:NAME, json:PATH" : "host, body, header:NAME, json:PATH"
            throw ReplayRuleError("'\(text)' is not known; write one of \(known)")
        }
    }

    /// A path of RFC 9535; `$`, or `$.`, may be left out at its beginning.
    private static func path(_ text: String) throws(ReplayRuleError) -> JSONPath {
        let whole = text.hasPrefix("$") ? text : text.hasPrefix(".") || text.hasPrefix("[") ? "$" + text : "$." + text
        do {
            return try JSONPath(whole)
        } catch {
            let position = max(0, error.offset - (whole.count - text.count)) + 1
            throw ReplayRuleError("'\(text)' is not a JSON path (RFC 9535): \(error.message) at character \(position)")
        }
    }
}
