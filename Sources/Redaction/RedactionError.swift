// Why a rule of redaction is not valid.

/// A rule that cannot be used, in one sentence: which rule, what is wrong with it, what to do.
package struct RedactionError: Error, Sendable, Equatable, CustomStringConvertible {
    package let description: String

    /// - Parameters:
    ///   - rule: as it was written.
    ///   - reason: the rest of the sentence.
    init(_ rule: String, _ reason: String) { description = "the redaction rule '\(rule)' is not valid: \(reason)" }
}
