// The operators of the filter language, one row each: name, what it compares, when that is final, its cost, and its line of help. The rows are
// in a file for each kind, Operators+….swift.

import FlowModel
import HTTPSemantics

/// What an operator compares, and so the argument that it takes.
enum FilterOperand: Sendable {
    /// No argument.
    case property(FlowProperty)
    /// A regular expression, compiled with these options.
    case text(FlowText, PatternSyntax)
    case url
    case status
    /// A number, a size or a length of time, or a range of them.
    case number(FlowNumber, QuantityRange.Unit)
    /// One of a few words.
    case choice(FlowChoice)
    /// A status code in brackets, of an interim response.
    case interim
    /// A name in brackets, and a VALUE or none: ``ValueTest``.
    case named(NamedText)
    /// A path (RFC 9535) in brackets, and a VALUE or none. The side is that of the sender; nil is both.
    case json(Side?)
    /// A time, and what it bounds.
    case time(TimeBound)
    /// The name of an expression of the environment.
    case view
    /// The place of a field in brackets, and a VALUE or none.
    case protobufField
    /// A name or a number, or a range of numbers: ``GRPCStatusTest``.
    case grpcStatus
    /// The name of a rule, or none.
    case secret

    /// Whether brackets follow the name. An operator without brackets may have the same name.
    var takesParameter: Bool {
        switch self {
        case .named, .interim, .json, .protobufField: true
        case .property, .text, .url, .status, .number, .choice, .time, .view, .grpcStatus, .secret: false
        }
    }

    /// Whether something must follow that is neither in brackets nor optional.
    var needsArgument: Bool {
        switch self {
        case .property, .named, .interim, .json, .protobufField, .secret: false
        case .text, .url, .status, .number, .choice, .time, .view, .grpcStatus: true
        }
    }

    /// What follows the name, as the help shows it.
    var form: String {
        switch self {
        case .property: ""
        case .text, .url: " REGEX"
        case .status: " CODE"
        case .number(_, let unit): " " + unit.placeholder
        case .choice: " VERSION"
        case .interim: "[CODE]"
        case .named: "[NAME] [VALUE]"
        case .json: "[PATH] [VALUE]"
        case .time: " TIME"
        case .view: " NAME"
        case .protobufField: "[FIELD] [VALUE]"
        case .grpcStatus: " STATUS"
        case .secret: " [RULE]"
        }
    }
}

/// How the regular expression of an operator is compiled.
enum PatternSyntax: Sendable {
    case plain
    /// `^` and `$` match at lines.
    case lines
    /// `.` matches line ends.
    case content
}

/// The moment of a recording from which the answer of an operator does not change.
enum Availability {
    case opening
    case request
    case requestContent
    case response
    case responseContent
    case end

    /// The heads of a flow, and what is known before them.
    var isOfHeads: Bool {
        switch self {
        case .opening, .request, .response: true
        case .requestContent, .responseContent, .end: false
        }
    }
}

struct FilterOperator: Sendable {
    /// With its tilde.
    let name: String
    let operand: FilterOperand
    let availability: Availability
    /// Relative cost; cheaper terms are evaluated first. From 5 on heads are decompressed, content is 9 (``TermAccess``).
    let cost: Int
    let help: String

    init(_ name: String, _ operand: FilterOperand, _ availability: Availability, cost: Int, _ help: String) {
        self.name = name
        self.operand = operand
        self.availability = availability
        self.cost = cost
        self.help = help
    }

    /// In the order of the help.
    static let all: [FilterOperator] = (mitmproxy + facts + connections + named + json + protobuf).enumerated()
        .sorted { ($0.element.name, $0.offset) < ($1.element.name, $1.offset) }.map(\.element)

    /// The operators of a name: at most one with brackets and one without.
    static func rows(named name: String) -> [FilterOperator] { all.filter { $0.name == name } }

    static let url = rows(named: "~u")[0]
}
