// Filter expressions.

internal import FlowFilter
internal import FlowModel

/// An expression of the filter language (docs/filter-language.md), such as `~d example.com & ~c 500`. Parse it once, use it often, also
/// from several tasks.
public struct Filter: Sendable, CustomStringConvertible {
    let filter: FlowFilter

    /// - Parameters:
    ///   - expression: operators of mitmproxy's language and ours; `~all` matches every flow.
    ///   - isCaseSensitive: whether regular expressions distinguish case.
    /// - Throws: ``FilterError`` with the place in the expression.
    public init(_ expression: String, isCaseSensitive: Bool = false) throws(FilterError) {
        let environment = FilterEnvironment(now: FlowModel.Timestamp(nanoseconds: Timestamp.now.nanoseconds))
        do throws(FilterSyntaxError) {
            filter = try FlowFilter(expression, caseSensitive: isCaseSensitive, environment: environment)
        } catch {
            throw FilterError(
                message: error.message, offset: error.offset, expression: error.expression, description: error.rendered)
        }
    }

    /// - Throws: ``FlowFileError`` if content that the expression asks for is damaged, or if a regular expression takes too many steps.
    public func matches(_ flow: Flow) throws(FlowFileError) -> Bool {
        do { return try filter.matches(flow.model) } catch { throw FlowFileError(error) }
    }

    /// An expression that parses to the same filter.
    public var description: String { filter.canonical }
}

/// An expression that is not valid.
public struct FilterError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What is wrong, in one sentence.
    public let message: String
    /// Where: characters from the beginning of the expression.
    public let offset: Int
    /// The whole expression.
    public let expression: String

    /// Three lines: the message, the expression, a caret below the place.
    public let description: String
}
