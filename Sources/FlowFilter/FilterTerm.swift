// One operator with its argument: the leaf of an expression.

import FlowModel
import JSONQuery
import NIOCore

/// An operator with its argument. A class, so that evaluating an expression on each flow copies nothing.
final class FilterTerm: Sendable {
    /// A part of a flow and what it is compared with. Each case pairs the two that belong together. Those with large values are indirect:
    /// an evaluation copies the case, for each flow.
    enum Comparison: Sendable {
        case property(FlowProperty)
        case text(FlowText, Pattern)
        /// `host` matches the host of every URL that the pattern matches; nil when the host can be any.
        case url(Pattern, host: Pattern?)
        case status(StatusRange)
        case number(FlowNumber, QuantityRange)
        /// The word that was written is for ``canonical``.
        indirect case choice(FlowChoice.Value, String)
        /// The status of an interim response.
        case interim(StatusRange)
        indirect case named(NamedText, ParameterName, ValueTest)
        indirect case json(FlowJSON, ValueTest, JSONValueTest)
        /// The start of the flow.
        case time(TimeBound, TimeRange)
        indirect case protobufField(ProtobufFieldTest)
        indirect case grpcStatus(GRPCStatusTest)
        indirect case secret(SecretTest)
    }

    let row: FilterOperator
    let comparison: Comparison

    init(row: FilterOperator, comparison: Comparison) {
        self.row = row
        self.comparison = comparison
    }

    /// More codes than this are not checked one by one.
    private static let maximumCodes = 100

    /// - Throws: what fetching content throws; a match that takes too many steps.
    func matches(_ flow: some FlowAttributes) throws -> Bool {
        switch comparison {
        case .property(let property): property.matches(flow)
        case .text(let text, let pattern): try text.matches(flow, pattern)
        case .url(let pattern, _): try pattern.matches(flow.displayURL)
        case .status(let range): range.contains(flow.status)
        case .number(let number, let range): try number.matches(flow, range)
        case .choice(let value, _): value.matches(flow)
        case .interim(let range): flow.interimStatuses.contains { range.contains($0) }
        case .named(let text, let name, let test): try text.matches(flow, name, test)
        case .json(let json, _, let test): try json.contains(flow, test)
        case .time(_, let range): range.contains(flow.started)
        case .protobufField(let test): try test.matches(flow)
        case .grpcStatus(let test): try test.matches(flow)
        case .secret(let test): try test.matches(flow)
        }
    }

    /// False only when no flow of the block matches.
    func mayMatch(_ block: some BlockSummary) -> Bool {
        switch comparison {
        case .property(let property): return property.mayMatch(block)
        case .text(let text, let pattern): return text.mayMatch(block, pattern)
        case .url(_, let host): return block.mayContain(.http) && host?.mayMatch(anyOf: block.hosts) ?? true
        case .status(let range):
            guard range.highest - range.lowest < Self.maximumCodes else { return block.mayContain(.http) }
            return (range.lowest...range.highest).contains { block.mayContain(status: $0) }
        case .number(let number, let range): return number.mayMatch(block, range)
        case .choice(let value, _): return value.mayMatch(block)
        case .interim: return block.mayContain(.http)
        case .named(let text, _, _): return text.mayMatch(block)
        case .json, .protobufField, .grpcStatus: return block.mayContain(.http)
        case .secret: return block.mayContain(.http) || block.mayContain(.tcp)
        case .time(_, let range): return block.times.map { range.overlaps($0) } ?? false
        }
    }

    /// The name and the argument, in a form that parses to the same term.
    var canonical: String {
        switch comparison {
        case .property: row.name
        case .text(_, let pattern), .url(let pattern, _): "\(row.name) \(quoted(pattern.text))"
        case .status(let range): "\(row.name) \(range.text)"
        case .number(_, let range): "\(row.name) \(range.text)"
        case .choice(_, let word): "\(row.name) \(word)"
        case .interim(let range): "\(row.name)[\(range.text)]"
        case .named(_, let name, let test): Self.joined(row.name + name.canonical, test)
        case .json(let json, let test, _): Self.joined("\(row.name)[\(json.path)]", test)
        case .time(let bound, let range): "\(row.name) \(range.text(bound))"
        case .protobufField(let test): Self.joined("\(row.name)[\(test.text)]", test.value)
        case .grpcStatus(let test): "\(row.name) \(test.text)"
        case .secret(let test): row.name + (test.rule.map { " \($0)" } ?? "")
        }
    }

    /// A name with its brackets, and a VALUE or none.
    private static func joined(_ name: String, _ test: ValueTest) -> String {
        let value = test.canonical
        return value.isEmpty ? name : "\(name) \(value)"
    }
}
