import TestSupport

/// Text with parts such as `<36 alnum>`, each of which stands for random characters, so that no example is a secret.
struct ExampleText {
    private static let letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    private static let sets: [Substring: String] = [
        "alnum": letters + "0123456789", "letters": letters, "digits": "123456789", "hex": "0123456789abcdef",
        "upper": "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", "base32": "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
        "base64": letters + "0123456789+/", "url": letters + "0123456789-_", "bech32": "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L",
    ]

    private var random: SeededGenerator

    init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    /// - Returns: the text with other characters each time.
    mutating func expanded(_ text: String) -> String {
        var expanded = ""
        var rest = text[...]
        while let part = rest.firstMatch(of: /<(\d+) (\w+)>/) {
            let set = Array(Self.sets[part.output.2]!)
            // A letter or digit at both ends, so that a boundary stays one.
            let plain = set.filter { $0.isLetter || $0.isNumber }
            let count = Int(part.output.1)!
            expanded += rest[..<part.range.lowerBound]
            for index in 0..<count {
                expanded.append((index == 0 || index == count - 1 ? plain : set).randomElement(using: &random)!)
            }
            rest = rest[part.range.upperBound...]
        }
        return expanded + rest
    }
}
