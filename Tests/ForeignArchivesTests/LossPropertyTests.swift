import FlowModel
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

@testable import ForeignArchives

@Suite("The report of what a conversion loses, with random exchanges")
struct LossPropertyTests {
    @Test(
        "What differs when a random exchange is read back is what the report names, class by class",
        arguments: ForeignFormat.allCases.filter { $0 != .pcapng })
    func readBack(format: ForeignFormat) throws {
        var exchanges = RandomExchanges(seed: 41)
        var (written, named) = (0, Set<LossClass>())
        for _ in 0..<400 {
            let flow = exchanges.next()
            let (back, report) = try LossTests.converted(flow, format)
            guard let back else {
                #expect(report.leftOut.count == 1 && report.leftOut.allSatisfy { format.fate(of: $0.key) == .leftOut })
                continue
            }
            written += 1
            let reported = Set(report.lost.keys).union(report.changed.keys)
            named.formUnion(reported)
            let differing = Set(try LossClass.allCases.filter { try $0.differs(flow, back, reported) })
            func names(_ classes: Set<LossClass>) -> [String] { classes.map(\.rawValue).sorted() }
            if reported != differing {
                Issue.record(
                    "\(format): reported, but equal: \(names(reported.subtracting(differing))); not reported: \(names(differing.subtracting(reported))) \(try line(flow)) \(try line(back))"
                )
                return
            }
        }
        #expect(written > 250 && named.count > 10)
    }
}

extension LossClass {
    /// What a class is about is not the same in a flow and in what was read back.
    /// - Parameter reported: a change of one of these may change what other classes are about too.
    fileprivate func differs(_ flow: Flow, _ back: Flow, _ reported: Set<LossClass>) throws -> Bool {
        switch self {
        case .http3: return false
        case .chunkTimes: return try flow.contentSizes != back.contentSizes
        case .headBytes, .frames: return try flow.lossClasses()[self] != back.lossClasses()[self]
        case .contentLength:
            // A head of another version, and other content, may need another framing.
            let isFree = !reported.contains(self) && !reported.isDisjoint(with: [.http2AsHTTP1, .contentCoding])
            return !isFree && flow.framing != back.framing
        case .incomplete:
            let (sent, received) = (flow.request, flow.response)
            return sent?.hasAllContent == true && (sent?.ended == nil) != (back.request?.ended == nil)
                || received?.hasAllContent == true && (received?.ended == nil) != (back.response?.ended == nil)
        case .notes: return !flow.notes.map(\.value).allSatisfy { back.notes.map(\.value).contains($0) }
        case .fields: return flow.semantics != back.semantics
        case .contentCoding: return try flow.codedContent != back.codedContent
        case .upgradeData: return flow.response?.head.status == 101 && facts(of: flow) != facts(of: back)
        default: return facts(of: flow) != facts(of: back)
        }
    }
}

extension Flow {
    /// Bytes of each piece of content.
    fileprivate var contentSizes: [String] {
        get throws {
            var sizes: [String] = []
            for side in [Side.client, .server] {
                try pieces.forEach { _, piece in
                    if piece.kind == .data, piece.from == side { sizes.append("\(side) \(piece.content.readableBytes)") }
                    return true
                }
            }
            return sizes
        }
    }

    fileprivate var codedContent: [ByteBuffer?] {
        get throws {
            guard response?.head.status != 101 else { return [] }
            return [
                response?.head.fields.first("content-encoding"), try pieces.content(from: .client),
                try pieces.content(from: .server),
            ]
        }
    }

    fileprivate var framing: [String?] {
        [request?.head.fields, response?.head.fields].flatMap { fields in
            [fields?.first("content-length"), fields?.first("transfer-encoding")].map { $0.map { String(buffer: $0) } }
        }
    }

    /// The heads in the words of any version, without their framing.
    fileprivate var semantics: [String] {
        var all: [String] = []
        func add(_ fields: FieldSection) {
            for line in fields.lines {
                let name = String(buffer: fields.slice(line.name)).lowercased()
                guard !["host", "content-length", "transfer-encoding", "content-encoding"].contains(name) else { continue }
                all.append("\(name): \(String(buffer: fields.slice(line.value)))")
            }
        }
        if let head = request?.head {
            let host = head.version.major < 2 ? head.fields.first("host") : head.authority
            all += [head.method, head.target, host ?? ByteBuffer()].map { String(buffer: $0) }
            add(head.fields)
        }
        if let head = response?.head {
            all.append("\(head.status) \(head.version.major < 2 ? String(buffer: head.wire.slice(head.reasonRange)) : "")")
            add(head.fields)
        }
        return all
    }
}
