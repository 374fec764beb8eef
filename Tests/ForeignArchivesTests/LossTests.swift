import FlowModel
import FlowPrinter
import Foundation
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

@testable import ForeignArchives

@Suite("The report of what a conversion loses")
struct LossTests {
    /// A flow written in a format and read back; nil if it was left out.
    static func converted(_ flow: Flow, _ format: ForeignFormat) throws -> (back: Flow?, report: ConversionReport) {
        var writer = format.writer(version: "1")
        var out = ByteBuffer()
        let isWritten = try writer.write(flow, into: &out) { _ in }
        try writer.finish(into: &out) { _ in }
        guard isWritten else { return (nil, writer.report) }
        let flows =
            switch format {
            case .mitmproxy: try mitmproxyFlows(out)
            case .har: try harFlows(out).flows
            case .pcapng: [Flow]()
            case .gor: gorFlows(out).flows
            case .warc: warcFlows(out).flows
            }
        let first: Flow = try #require(flows.first)
        return (first, writer.report)
    }

    @Test(
        "A flow of each class loses in each format what its report names, and nothing else",
        arguments: ForeignFormat.allCases.filter { $0 != .pcapng }, LossClass.allCases.filter { LossSamples.flow($0) != nil })
    func roundTrip(format: ForeignFormat, loss: LossClass) throws {
        let flow = try #require(LossSamples.flow(loss))
        let met = try flow.lossClasses()
        #expect(met[loss] != nil)
        let (back, report) = try Self.converted(flow, format)
        guard let back else {
            #expect(report.leftOut.count == 1 && report.written == 0)
            #expect(report.leftOut.allSatisfy { format.fate(of: $0.key) == .leftOut && met[$0.key] != nil && $0.value == 1 })
            return
        }
        #expect(report.leftOut.isEmpty && report.written == 1)
        func names(_ classes: some Sequence<LossClass>) -> [String] { classes.map(\.rawValue).sorted() }
        let named = names(Set(report.lost.keys).union(report.changed.keys))
        let differing = names(LossClass.allCases.filter { met[$0] != nil && $0.facts(of: flow) != $0.facts(of: back) })
        #expect(named == differing)
    }

    @Test("Every format declares what it does with each class, and the documentation has it")
    func page() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..")
        let page = try String(contentsOf: root.appending(path: "docs/foreign-formats.md"), encoding: .utf8)
        #expect(page.contains("\n\n" + lossTable() + "\n"), "replace the table in docs/foreign-formats.md by:\n\(lossTable())")
        for loss in LossClass.allCases {
            #expect(!loss.meaning.isEmpty && loss.rawValue.allSatisfy { $0.isLowercase || $0 == "_" || $0.isNumber })
        }
    }

    @Test("The line has the counts without details; the JSON object has all of them, with flows as examples")
    func texts() throws {
        var writer = HARWriter(version: "1")
        var out = ByteBuffer()
        for loss in [LossClass.tcp, .tls, .interim, .pingPong, .tags, .tags, .contentCoding] {
            _ = try writer.write(try #require(LossSamples.flow(loss)), into: &out)
        }
        #expect(
            writer.report.sentence
                == "har: 5 of 7 flows written; left out: 1 TCP, 1 TLS; changed: 1 content decoded; lost: 1 interim response, 4 tags"
        )
        #expect(writer.report.hasLosses)
        var json = ByteBuffer()
        writer.report.write(into: &json)
        let object = try #require(try JSONSerialization.jsonObject(with: Data(json.readableBytesView)) as? [String: Any])
        #expect(object["format"] as? String == "har")
        #expect([object["flows"] as? Int, object["written"] as? Int] == [7, 5])
        #expect(object["left_out"] as? [String: Int] == ["tcp": 1, "tls": 1])
        #expect((object["changed"] as? [String: Int])?["content_coding"] == 1)
        let lost = try #require(object["lost"] as? [String: Int])
        #expect([lost["interim"], lost["tags"], lost["client_address"]] == [1, 4, 5])
        let examples = try #require(object["examples"] as? [String: [String]])
        #expect(examples["tags"] == Array(repeating: "01920000-0000-7000-8000-000000000001", count: 2))
        #expect(examples["client_address"]?.count == 3)
        #expect(try Self.converted(try #require(LossSamples.flow(.flowID)), .har).report.sentence == nil)
    }

    @Test("Commands and text report what their writers found")
    func messages() throws {
        func report(_ format: MessageFormat, _ losses: [LossClass]) throws -> String? {
            var writer = format.writer(MessageOptions())
            var report = ConversionReport(format: format.rawValue)
            for loss in losses {
                let flow = try #require(LossSamples.flow(loss))
                var out = ByteBuffer()
                let omitted = try writer.write(flow, into: &out) { _ in }
                try report.count(flow, omitted, of: format, .client)
            }
            return report.sentence
        }
        let losses: [LossClass] = [.tcp, .tls, .noRequest, .connect, .webSocket, .http2AsHTTP1, .interim]
        #expect(
            try report(.curl, losses)
                == "curl: 3 of 7 flows written; left out: 1 TCP, 1 TLS, 1 without a request, 1 CONNECT; lost: 1 WebSocket message")
        #expect(
            try report(.http, losses)
                == """
                http: 3 of 7 flows written; left out: 1 TCP, 1 TLS, 1 without a request, 1 CONNECT; changed: 1 HTTP/2 as HTTP/1.1; \
                lost: 1 WebSocket message
                """)
        #expect(try report(.curl, [.interim, .contentCoding]) == nil)
    }
}

extension LossClass {
    /// What of a flow the class is about.
    func facts(of flow: Flow) -> String {
        func all(_ parts: Any?...) -> String { parts.map { $0.map { "\($0)" } ?? "nil" }.joined(separator: " ") }
        let (client, server) = (flow.client?.value, flow.server?.value)
        func tls(_ parts: (TLSDetails) -> [Any?]) -> String {
            let known = [client?.tls, server?.tls].compactMap { $0 }.map { parts($0).map { $0.map { "\($0)" } ?? "" } }
            return all(known.filter { $0.contains { !$0.isEmpty && $0 != "[]" } })
        }
        func pieces(_ kinds: FlowPiece.Kind...) -> String {
            var found: [String] = []
            try? flow.pieces.forEach { at, piece in
                if kinds.contains(piece.kind) { found.append("\(piece.kind) \(piece.from) \(piece.content.escaped)") }
                return true
            }
            return all(found)
        }
        func sizes() -> String {
            var found: [String] = []
            try? flow.pieces.forEach { at, piece in
                found.append("\(at.nanoseconds) \(piece.content.readableBytes) \(piece.wireSize) \(piece.frames)")
                return true
            }
            return all(found)
        }
        switch self {
        case .tcp, .tls: return all(flow.kind)
        case .noRequest, .connect: return all(flow.request?.head.method.escaped)
        case .http2AsHTTP1, .http3: return all(flow.request?.head.version, flow.response?.head.version)
        case .headBytes: return all(flow.request?.head.wire.escaped)
        case .interim: return all(flow.interims.map(\.value.wire.escaped))
        case .trailers: return all(flow.request?.trailers, flow.response?.trailers)
        case .contentLength: return all(flow.response?.head.fields)
        case .contentCoding: return all(flow.response?.head.fields.first("content-encoding")) + pieces(.data)
        case .missingContent: return all(flow.response?.hasAllContent)
        case .incomplete: return all(flow.response?.isComplete, flow.state)
        case .webSocket: return pieces(.text, .binary)
        case .pingPong: return pieces(.ping, .pong)
        case .closeFrames: return pieces(.close)
        case .upgradeData: return pieces(.data)
        case .malformed: return all(flow.malformed.map(\.value.bytes.escaped))
        case .localReply: return all(flow.localReply?.value.head.wire.escaped)
        case .error: return all(flow.error?.message)
        case .comment: return all(flow.comment)
        case .tags: return all(flow.tags)
        case .notes: return all(flow.notes.map(\.value))
        case .flowID: return all(flow.id)
        case .target: return all(flow.target)
        case .chunkTimes, .frames: return sizes()
        case .messageTimes:
            let times = [flow.request?.started, flow.request?.ended, flow.response?.started, flow.response?.ended]
            return all(times.map { $0?.nanoseconds })
        case .streamID: return all(flow.stream)
        case .settings: return all(client?.settings, server?.settings)
        case .connectionID: return all(client?.id, server?.id)
        case .clientAddress: return all(client?.peer)
        case .serverAddress: return all(server?.peer)
        case .mode: return all(client?.mode)
        case .tlsVersion: return tls { [$0.version, $0.cipher] }
        case .tlsNames: return tls { [$0.serverName, $0.alpn, $0.alpnOffers] }
        case .certificates: return tls { [$0.certificates] }
        case .fingerprints: return tls { [$0.ja3, $0.ja4] }
        case .verification: return tls { [$0.isVerified, $0.verificationError] }
        case .errorSide: return all(flow.error?.side)
        case .closing: return all(flow.closedBy, flow.isReset)
        case .passthrough: return all(flow.passthrough)
        case .redaction: return all(flow.redaction)
        case .noURL, .headContent, .argumentLength, .separator, .noMessage, .fields, .largeContent, .fileContent,
            .damagedContent:
            return ""
        }
    }
}
