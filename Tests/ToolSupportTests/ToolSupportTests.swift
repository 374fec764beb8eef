import Foundation
import TestSupport
import Testing
import ToolSupport

@Suite("Quantities")
struct QuantityTests {
    @Test(
        "Sizes are read with their units",
        arguments: [("0", 0), ("512", 512), ("64k", 65536), ("2M", 2 << 20), ("1g", 1 << 30), ("1.5k", 1536), ("10MiB", 10 << 20)]
            as [(String, UInt64)])
    func sizes(text: String, bytes: UInt64) { #expect(ByteSize(argument: text)?.bytes == bytes) }

    @Test("What is no size is refused", arguments: ["", "k", "-1", "1.m", ".5m", "99999999999g", "1x", "0x10", "1e3", "nan"])
    func badSizes(text: String) { #expect(ByteSize(argument: text) == nil) }

    @Test(
        "Durations are read with their units",
        arguments: [
            ("250ms", 250_000_000), ("1s", 1_000_000_000), ("1.5s", 1_500_000_000), ("2m", 120_000_000_000), ("3", 3_000_000_000),
            ("500us", 500_000), ("0.5", 500_000_000), ("1d", 86_400_000_000_000),
        ] as [(String, Int64)])
    func durations(text: String, nanoseconds: Int64) { #expect(TimeSpan(argument: text)?.nanoseconds == nanoseconds) }

    @Test("What is no duration is refused", arguments: ["", "s", "-1s", "1w", "nan", "inf", "1e30d"])
    func badDurations(text: String) { #expect(TimeSpan(argument: text) == nil) }
}

@Suite("Credentials")
struct CredentialsTests {
    @Test("A password that was right is right again, and a wrong one is still wrong")
    func hashes() throws {
        try withTemporaryDirectory { directory in
            // openssl passwd -6 -salt salt secret
            let hash = "$6$salt$egUxKNxDs8kPfh8iPMNcosMhb2eWah6d3R44JDm5Rj/j/XWR5E33QPd0YmHXoDHOIDR6kL5D3JcQcz0O8FHE00"
            try "user:\(hash)\n".write(toFile: directory + "/users", atomically: true, encoding: .utf8)
            let credentials = try Credentials("@\(directory)/users")
            let asked = [("user", "wrong"), ("user", "secret"), ("user", "secret"), ("user", "wrong"), ("nobody", "secret")]
            #expect(asked.map { credentials.known($0.0, $0.1) } == [nil, nil, nil, nil, false])
            #expect(asked.map { credentials.accept($0.0, $0.1) } == [false, true, true, false, false])
            #expect(asked.map { credentials.known($0.0, $0.1) } == [nil, true, true, nil, false])
        }
    }
}
