// The bodies of generated messages: JSON of several services, pages, scripts, style sheets, images.

import NIOCore

/// The kind of a body.
enum DocumentKind: Int, CaseIterable {
    case user, orders, products, notifications, measurements, error
    case page, script, style
    case image

    var mediaType: String {
        switch self {
        case .user, .orders, .products, .notifications, .measurements: "application/json; charset=utf-8"
        case .error: "application/problem+json"
        case .page: "text/html; charset=utf-8"
        case .script: "application/javascript"
        case .style: "text/css"
        case .image: "image/webp"
        }
    }

    var isText: Bool { self != .image }
}

struct DocumentMaker {
    let vocabulary = Vocabulary()

    /// - Parameter literal: text that the body contains.
    func make(_ kind: DocumentKind, literal: String?, _ random: inout SplitMix64) -> ByteBuffer {
        let note = literal ?? vocabulary.words(random.number(3..<8), &random)
        switch kind {
        case .user: return ByteBuffer(string: user(note, &random))
        case .orders: return list("orders", note, &random) { order(&$0) }
        case .products: return list("results", note, &random) { product(&$0) }
        case .notifications: return list("notifications", note, &random) { notification(&$0) }
        case .measurements: return ByteBuffer(string: measurements(note, &random))
        case .error: return ByteBuffer(string: error(note, &random))
        case .page: return ByteBuffer(string: page(note, &random))
        case .script: return ByteBuffer(string: script(note, &random))
        case .style: return ByteBuffer(string: style(note, &random))
        case .image:
            // The head of a WebP file, so that it is recognised.
            var image = ByteBuffer(string: "RIFF")
            let content = random.bytes(random.number(150..<1300))
            image.writeInteger(UInt32(content.readableBytes + 12), endianness: .little)
            image.writeString("WEBPVP8 ")
            image.writeInteger(UInt32(content.readableBytes), endianness: .little)
            image.writeImmutableBuffer(content)
            return image
        }
    }

    // MARK: JSON

    /// Most lists are short, some are long.
    private func list(
        _ name: String, _ note: String, _ random: inout SplitMix64, _ element: (inout SplitMix64) -> String
    ) -> ByteBuffer {
        let count = random.pick([0, 1, 1, 1, 1, 1, 2, 2, 2, 3, 3, 4, 6, 20])
        let elements = (0..<count).map { _ in element(&random) }.joined(separator: ",")
        let next = count < 4 ? "null" : "\"\(random.token(2))\""
        return ByteBuffer(
            string:
                "{\"\(name)\":[\(elements)],\"total\":\(count * random.number(1..<9)),\"page\":{\"size\":\(max(10, count)),\"next\":\(next)},\"hint\":\"\(note)\"}"
        )
    }

    private func user(_ note: String, _ random: inout SplitMix64) -> String {
        let name = vocabulary.name(&random)
        let (id, isActive) = (random.number(1..<5_000_000), random.chance(900))
        return """
            {"id":\(id),"uuid":"\(random.uuid())","name":{"first":"\(name.first)","last":"\(name.last)"},"email":\
            "\(name.first.lowercased()).\(name.last.lowercased())@mail.example","active":\(isActive),"created_at":\
            "\(vocabulary.time(&random))","address":{"street":"\(vocabulary.word(&random)) \(random.number(1..<200))",\
            "city":"\(vocabulary.city(&random))","zip":"\(random.number(10_000..<99_999))"},"roles":["customer"],"note":"\(note)"}
            """
    }

    private func order(_ random: inout SplitMix64) -> String {
        let items = (0..<random.number(1..<4)).map { _ in
            "{\"sku\":\"\(random.hexadecimal(8))\",\"quantity\":\(random.number(1..<5)),\"price\":\(vocabulary.price(&random))}"
        }
        return """
            {"id":"\(random.uuid())","status":"\(random.pick(["paid", "paid", "shipped", "returned"]))","currency":"EUR","total":\
            \(vocabulary.price(&random)),"placed_at":"\(vocabulary.time(&random))","items":[\(items.joined(separator: ","))]}
            """
    }

    private func product(_ random: inout SplitMix64) -> String {
        """
        {"id":\(random.number(1..<900_000)),"slug":"\(vocabulary.words(3, &random, separator: "-"))","title":\
        "\(vocabulary.words(4, &random))","price":{"amount":\(vocabulary.price(&random)),"currency":"EUR"},"rating":\
        \(random.number(1..<5)).\(random.number(0..<10)),"in_stock":\(random.chance(800)),"tags":["\(vocabulary.word(&random))",\
        "\(vocabulary.word(&random))"]}
        """
    }

    private func notification(_ random: inout SplitMix64) -> String {
        """
        {"id":"\(random.token(1))","at":"\(vocabulary.time(&random))","read":\(random.chance(400)),"text":"\(vocabulary.sentence(&random))"}
        """
    }

    private func measurements(_ note: String, _ random: inout SplitMix64) -> String {
        var time = 1_760_000_000_000 + random.number(0..<1_000_000)
        let points = (0..<random.pick([4, 4, 8, 8, 30])).map { _ in
            time += 10_000
            return "[\(time),\(random.number(0..<100)).\(random.number(0..<1000))]"
        }
        return
            "{\"metric\":\"\(vocabulary.words(2, &random, separator: "."))\",\"unit\":\"ms\",\"note\":\"\(note)\",\"points\":[\(points.joined(separator: ","))]}"
    }

    private func error(_ note: String, _ random: inout SplitMix64) -> String {
        "{\"type\":\"about:blank\",\"title\":\"\(vocabulary.words(3, &random))\",\"detail\":\"\(note)\",\"trace_id\":\"\(random.hexadecimal(16))\"}"
    }

    // MARK: Pages and what belongs to them

    private func page(_ note: String, _ random: inout SplitMix64) -> String {
        let title = vocabulary.words(4, &random)
        let parts = (0..<random.pick([1, 1, 2, 2, 4])).map { index in
            """
            <article class="card card--\(index % 3)" id="item-\(random.number(1..<900_000))">
              <h2>\(vocabulary.words(3, &random))</h2>
              <a href="/products/\(vocabulary.words(2, &random, separator: "-"))"><img src="/img/\(random.hexadecimal(10)).webp" alt="" loading="lazy"></a>
              <p>\(vocabulary.sentence(&random)) \(vocabulary.sentence(&random))</p>
              <span class="price">&euro;\(vocabulary.price(&random))</span>
            </article>
            """
        }
        return """
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <title>\(title)</title>
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="description" content="\(note)">
            <link rel="stylesheet" href="/assets/site.\(random.hexadecimal(8)).css">
            <script src="/assets/app.\(random.hexadecimal(8)).js" defer></script>
            </head>
            <body>
            <header><nav><a href="/">Home</a> <a href="/search">Search</a> <a href="/account">Account</a></nav></header>
            <main>
            <h1>\(title)</h1>
            \(parts.joined(separator: "\n"))
            </main>
            </body>
            </html>

            """
    }

    private func script(_ note: String, _ random: inout SplitMix64) -> String {
        let functions = (0..<random.number(3..<14)).map { _ in
            let (name, other) = (vocabulary.word(&random), vocabulary.word(&random))
            return
                "function \(name)(e,t){if(!e)return null;const n=e.\(other)||{};return t?n[t]:Object.assign({},n,{\(name):\(random.number(0..<5000))})}"
        }
        return
            "/*! \(note) */\"use strict\";(()=>{\(functions.joined());window.\(vocabulary.word(&random))=\(vocabulary.word(&random))})();\n"
    }

    private func style(_ note: String, _ random: inout SplitMix64) -> String {
        let rules = (0..<random.number(6..<20)).map { _ in
            ".\(vocabulary.word(&random))-\(vocabulary.word(&random)){margin:\(random.number(0..<40))px auto;color:#\(random.hexadecimal(6));padding:\(random.number(0..<9))px}"
        }
        return "/* \(note) */\n" + rules.joined() + "\n"
    }
}
