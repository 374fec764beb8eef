// What does not count when a request is matched with a recorded one, or a response compared with one.

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

    package init() {}

    /// - Parameter texts: `host`, `port`, `scheme`, `body`, `query`, `query:NAME`, `json:PATH`, `form:NAME`, `header:NAME`.
    package init(_ texts: [String]) throws(ReplayRuleError) {
        for text in texts { try add(text) }
    }

    private mutating func add(_ text: String) throws(ReplayRuleError) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let argument = parts.count == 2 && !parts[1].isEmpty ? parts[1] : nil
        switch (parts[0], argument) {
        case ("host", nil) where parts.count == 1: host = true
        case ("port", nil) where parts.count == 1: port = true
        case ("scheme", nil) where parts.count == 1: scheme = true
        case ("body", nil) where parts.count == 1: body = true
        case ("query", nil) where parts.count == 1: query = true
        case ("query", let name?): queryNames.insert(name)
        case ("form", let name?): formNames.insert(name)
        case ("header", let name?): headers.insert(name.lowercased())
        case ("json", let path?):
            guard let parsed = JSONPath(path) else {
                throw ReplayRuleError("'\(path)' is no JSON path; write $.name, $.list[*].name or $..name")
            }
            jsonPaths.append(parsed)
        default:
            throw ReplayRuleError(
                "'\(text)' is not known; what can be ignored is host, port, scheme, body, query, query:NAME, form:NAME, json:PATH, header:NAME"
            )
        }
    }
}
