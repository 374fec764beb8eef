// What curl and http do with each class. Their writers (FlowPrinter) find what they cannot write themselves.

import FlowModel
import FlowPrinter

extension MessageFormat {
    /// What the format does with a class; nil for a format without a report: raw is the bytes of the messages and nothing else.
    package func fate(of loss: LossClass) -> LossFate? {
        switch self {
        case .curl: Self.curl(loss)
        case .http: Self.http(loss)
        case .raw: nil
        }
    }

    private static func curl(_ loss: LossClass) -> LossFate {
        switch loss {
        case .tcp, .tls, .noRequest, .connect, .noURL, .headContent, .argumentLength, .fileContent, .missingContent,
            .damagedContent, .incomplete:
            .leftOut
        case .fields, .http3, .trailers, .webSocket: .lost
        case .http2AsHTTP1, .contentCoding, .largeContent: .kept
        case .contentLength: .changed
        default: .outside
        }
    }

    private static func http(_ loss: LossClass) -> LossFate {
        switch loss {
        case .tcp, .tls, .noRequest, .connect, .noMessage: .leftOut
        case .http2AsHTTP1, .contentCoding, .contentLength: .changed
        case .fields, .trailers, .fileContent, .missingContent, .damagedContent, .webSocket: .lost
        case .noURL, .headContent, .incomplete, .largeContent: .kept
        default: .outside
        }
    }
}

extension ConversionReport {
    /// Counts a flow that a format of messages has written or left out.
    /// - Parameters:
    ///   - omitted: what its writer reported.
    ///   - sides: whose messages were written.
    package mutating func count(
        _ flow: Flow, _ omitted: Omissions.OfFlow, of format: MessageFormat, _ sides: MessageOptions.Sides
    ) throws {
        switch omitted {
        case .flow(let reason): leaveOut(flow, reason.loss(flow))
        case .parts(let parts):
            // The writer knows best what it could not write. What it changed is what the flow has.
            var classes = try flow.lossClasses().filter { format.fate(of: $0.key) == .changed }
            if sides == .client { classes[.contentCoding] = nil }
            for part in parts { classes[part.loss, default: 0] += 1 }
            count(flow, classes) { format.fate(of: $0) ?? .outside }
        }
    }
}

extension Omissions.Reason {
    fileprivate func loss(_ flow: Flow) -> LossClass {
        switch self {
        case .noRequest: flow.kindLeftOut
        case .noMessages: .noMessage
        case .connect: .connect
        case .incomplete: .incomplete
        case .missing: .missingContent
        case .damaged: .damagedContent
        case .headContent: .headContent
        case .needsFile: .fileContent
        case .noURL: .noURL
        case .tooLong: .argumentLength
        }
    }
}

extension Omissions.Part {
    fileprivate var loss: LossClass {
        switch self {
        case .trailers: .trailers
        case .fields: .fields
        case .content: .fileContent
        case .messages: .webSocket
        case .version: .http3
        case .damage: .damagedContent
        case .missing: .missingContent
        }
    }
}
