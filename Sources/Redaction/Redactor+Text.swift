// Texts that are searched: by regular expressions and for secrets. A text is searched as it is and, for regular expressions, without
// percent-encoding and without the escapes of JSON; the search for secrets decodes by itself.

import HTTPSemantics
import NIOCore

extension Redactor {
    struct Hit {
        var range: Range<Int>
        var rule: Int
    }

    /// Finds what is to be hidden in a text. A search that cannot be completed hides all of the text.
    /// - Returns: in the order of the text, without overlaps.
    func search(_ text: ByteBuffer) -> [Hit] {
        guard rules.searchesText, text.readableBytes > 0 else { return [] }
        var hits: [Hit] = []
        func add(_ rule: Int, _ find: () throws -> [Range<Int>]) {
            do {
                for range in try find() where !range.isEmpty { hits.append(Hit(range: range, rule: rule)) }
            } catch {
                hits.append(Hit(range: 0..<text.readableBytes, rule: rule))
            }
        }
        if let (scanner, rule) = rules.secrets { add(rule) { try scanner.scan(text).map(\.range) } }
        if !rules.patterns.isEmpty {
            let decoded = [DecodedText.percent(text, isForm: false), DecodedText.json(text)].compactMap { $0 }
            for (pattern, rule) in rules.patterns {
                add(rule) { try pattern.ranges(in: text) }
                for form in decoded { add(rule) { try pattern.ranges(in: form.text).map { form.encoded($0) } } }
            }
        }
        return Self.joined(hits)
    }

    /// Joins hits that overlap; the rule of the first one counts.
    private static func joined(_ hits: [Hit]) -> [Hit] {
        guard hits.count > 1 else { return hits }
        var joined: [Hit] = []
        for hit in hits.sorted(by: { ($0.range.lowerBound, $1.range.upperBound) < ($1.range.lowerBound, $0.range.upperBound) }) {
            guard let last = joined.last, hit.range.lowerBound < last.range.upperBound else {
                joined.append(hit)
                continue
            }
            joined[joined.count - 1].range = last.range.lowerBound..<max(last.range.upperBound, hit.range.upperBound)
        }
        return joined
    }

    /// Edits of a text whose syntax does not matter.
    private func textEdits(_ text: ByteBuffer, _ tally: inout Tally) -> Edits {
        var edits = Edits()
        for hit in search(text) {
            guard let hidden = hidden(text.slice(ByteRange(hit.range.lowerBound, hit.range.upperBound)), hit.rule) else { continue }
            edits.replace(hit.range, with: method(of: hit.rule) == .drop ? ByteBuffer() : hidden)
            tally.add(hit.rule)
        }
        return edits
    }

    /// The text with hidden parts; nil if nothing is hidden.
    func redact(text: ByteBuffer, _ tally: inout Tally) -> ByteBuffer? {
        guard rules.searchesText else { return nil }
        let edits = textEdits(text, &tally)
        return edits.isEmpty ? nil : edits.applied(to: text)
    }

    func redact(text: String, _ tally: inout Tally) -> String {
        guard rules.searchesText else { return text }
        return redact(text: ByteBuffer(string: text), &tally).map { String(buffer: $0) } ?? text
    }

    /// Hides parts of a sentence of the recorder or of a program: also values in URLs, and what it quotes of a message if that is not a name.
    func redact(sentence: String, _ tally: inout Tally) -> String {
        var text = ByteBuffer(string: sentence)
        if rules.changesURLs, text.mayContainURL { text = redact(urlsIn: text, &tally) }
        text = redact(text: text, &tally) ?? text
        return hidingQuotations(String(buffer: text))
    }

    /// A quotation with other characters than those of names can be a field line that has no valid name.
    private func hidingQuotations(_ sentence: String) -> String {
        guard rules.readsFields, sentence.utf8.contains(0x27) else { return sentence }
        var parts = sentence.split(separator: "'", omittingEmptySubsequences: false)
        for index in stride(from: 1, to: parts.count - 1, by: 2) {
            let isName = parts[index].unicodeScalars.allSatisfy {
                $0.isASCII && $0.value > 0x20 && !"=;,\"".unicodeScalars.contains($0)
            }
            if !isName { parts[index] = "«redacted»" }
        }
        return parts.joined(separator: "'")
    }
}
