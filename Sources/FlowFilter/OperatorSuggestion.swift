// What is suggested for an operator that does not exist.

/// Names of other languages, and of the things themselves.
private let otherNames = [
    "address": "~dst", "body": "~b", "client": "~src", "code": "~c", "comments": "~comment", "content": "~b", "cookies": "~cookie",
    "date": "~time", "dest": "~dst", "domain": "~d", "dur": "~duration", "elapsed": "~duration", "errors": "~e", "from": "~since",
    "header": "~h", "headers": "~h", "host": "~d", "hostname": "~d", "latency": "~duration", "method": "~m", "param": "~query",
    "path": "~u", "reqbody": "~bq", "respbody": "~bs", "credential": "~secret", "leak": "~secret", "password": "~secret",
    "resp": "~s", "response": "~s", "server": "~dst", "source": "~src",
    "status": "~c", "tags": "~tag", "to": "~until", "token": "~secret", "type": "~t", "url": "~u", "uri": "~u", "verb": "~m",
    "ws": "~websocket",
]

/// The sentence for an operator that does not exist.
/// - Parameter name: with its tilde.
func unknownOperator(_ name: String) -> String {
    let word = String(name.dropFirst().lowercased())
    guard !word.isEmpty else { return "an operator is missing after ~; --help-filter lists them" }
    let names = FilterOperator.all.map { String($0.name.dropFirst()) }
    func hint(_ found: String) -> String {
        let row = FilterOperator.rows(named: found)[0]
        return "there is no operator \(name); did you mean \(row.name)\(row.operand.form)? (\(row.help))"
    }
    if let found = names.first(where: { $0 == word }) { return hint("~" + found) }
    if let found = otherNames[word], !FilterOperator.rows(named: found).isEmpty { return hint(found) }
    if word.count > 1, let found = names.filter({ $0.hasPrefix(word) }).min(by: { $0.count < $1.count }) {
        return hint("~" + found)
    }
    // One changed letter makes a name of two letters another word.
    if word.count > 2, let found = nearestWord(to: word, in: names.filter { $0.count > 1 } + otherNames.keys) {
        return hint(otherNames[found] ?? "~" + found)
    }
    return "there is no operator \(name); --help-filter lists them"
}
