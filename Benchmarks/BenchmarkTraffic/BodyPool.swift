// Some thousands of bodies, generated once, each plain and in its codings. Every flow gets a random one: generating a body costs more than
// writing a flow.

import NIOCore

/// Content as it is sent.
struct Body {
    var content: ByteBuffer
    /// Its element of Content-Encoding.
    var coding: String?
}

struct BodyPool {
    private struct Prepared {
        var plain: ByteBuffer
        var gzip: ByteBuffer
        var brotli: ByteBuffer
    }

    /// Servers do not compress shorter bodies.
    private static let minimumCoded = 200
    private static let counts: [DocumentKind: Int] = [
        .user: 250, .orders: 300, .products: 300, .notifications: 200, .measurements: 150, .error: 50, .page: 250, .script: 150,
        .style: 100, .image: 250,
    ]

    private var prepared: [[Prepared]] = []
    private let isUncoded: Bool

    init(isUncoded: Bool, _ random: inout SplitMix64) {
        self.isUncoded = isUncoded
        let maker = DocumentMaker()
        for kind in DocumentKind.allCases {
            prepared.append(
                (0..<Self.counts[kind]!).map { index in
                    let plain = maker.make(kind, literal: index == 10 ? Traffic.literal : nil, &random)
                    return kind.isText
                        ? Prepared(plain: plain, gzip: gzip(plain), brotli: brotli(plain))
                        : Prepared(plain: plain, gzip: plain, brotli: plain)
                })
        }
    }

    /// A body: about half of the texts are coded.
    func pick(_ kind: DocumentKind, _ random: inout SplitMix64) -> Body {
        let body = random.pick(prepared[kind.rawValue])
        let roll = random.number(0..<100)
        guard kind.isText, !isUncoded, body.plain.readableBytes >= Self.minimumCoded, roll < 60 else {
            return Body(content: body.plain)
        }
        return roll < 35 ? Body(content: body.gzip, coding: "gzip") : Body(content: body.brotli, coding: "br")
    }

    /// Content of a request: never coded.
    func plain(_ kind: DocumentKind, _ random: inout SplitMix64) -> ByteBuffer { random.pick(prepared[kind.rawValue]).plain }
}
