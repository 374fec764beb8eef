// What does not count when a request is matched with a recorded one, or a response compared with one.

import JSONQuery

/// A rule that cannot be understood, in one sentence.
package struct ReplayRuleError: Error, Sendable, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}

/// The parts of a message that are left out of a comparison.
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

    /// What is compared: not every part counts in both.
    package enum Use: Sendable {
        /// A request with recorded ones. Scheme and port never count there.
        case matching
        /// A response with the recorded one.
        case answers
    }

    package init() {}

    /// - Parameter texts: `host`, `body`, `json:PATH`; for requests also `port`, `scheme`, `query`, `query:NAME`, `form:NAME`; for answers also
    ///   `header:NAME`.
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
        case ("header", let name?, .answers): headers.insert(name.lowercased())
        case ("json", let path?, _):
            guard let parsed = JSONPath(path) else {
                throw ReplayRuleError("'\(path)' is no JSON path; write $.name, $.list[*].name or $..name")
            }
            jsonPaths.append(parsed)
        default:
            let known =
                use == .matching
                ? "host, port, scheme, body, query, query:NAME, form:NAME, json:PATH" : "host, body, header:NAME, json:PATH"
            throw ReplayRuleError("'\(text)' is not known; what can be ignored is \(known)")
        }
    }
}
