import FlowModel
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

@testable import ForeignArchives

@Suite("Tagged netstrings")
struct TnetstringTests {
    private func parse(_ text: String) throws(TnetstringError) -> Tnetstring {
        var bytes = ByteBuffer(string: text)
        var offset: UInt64 = 100
        return try Tnetstring(takingFrom: &bytes, offset: &offset)
    }

    private func failure(_ body: () throws(TnetstringError) -> Void) -> TnetstringError? {
        do {
            try body()
            return nil
        } catch {
            return error
        }
    }

    @Test("Values of every type are read, and the bytes after them are left")
    func values() throws {
        var bytes = ByteBuffer(string: "1:a,2:\u{E9};2:-1#4:true!0:~3:0:~]3:0:~},rest")
        var offset: UInt64 = 7
        var tags: [Tnetstring.Tag] = []
        for _ in 0..<6 { tags.append(try Tnetstring(takingFrom: &bytes, offset: &offset).tag) }
        #expect(tags == [.bytes, .text, .integer, .bool, .null, .list])
        #expect(offset == 37)
        #expect(bytes.readableBytes == 11)
        let number = try parse("2:-1#").integer()
        #expect(number == -1)
        let entries = try parse("15:1:k,1:v,1:j;0:~}").entries()
        let value = try entries["k"]?.text()
        #expect(value == "v")
        #expect(entries["j"] == nil)
        #expect(entries.contains("j"))
    }

    @Test(
        "An invalid value is an error with its offset",
        arguments: [
            (":a,", TnetstringError(kind: .length, offset: 100)),
            ("x:a,", TnetstringError(kind: .length, offset: 100)),
            ("-1:a,", TnetstringError(kind: .length, offset: 100)),
            ("9999999999999:a,", TnetstringError(kind: .length, offset: 100)),
            ("999999999999:a,", TnetstringError(kind: .truncated, offset: 100)),
            ("12", TnetstringError(kind: .truncated, offset: 100)),
            ("3:ab,", TnetstringError(kind: .truncated, offset: 100)),
            ("1:a?", TnetstringError(kind: .tag(0x3F), offset: 103)),
            ("", TnetstringError(kind: .truncated, offset: 100)),
        ] as [(String, TnetstringError)])
    func hostile(text: String, expected: TnetstringError) {
        let found = failure { () throws(TnetstringError) in _ = try parse(text) }
        #expect(found == expected)
    }

    @Test("A list that holds a value longer than itself is an error inside it")
    func innerLength() throws {
        let list = try parse("4:9:a,]")
        let found = failure { () throws(TnetstringError) in _ = try list.elements() }
        #expect(found == TnetstringError(kind: .truncated, offset: 102))
        let dictionary = try parse("4:1:a,}")
        let odd = failure { () throws(TnetstringError) in _ = try dictionary.entries() }
        #expect(odd == TnetstringError(kind: .key, offset: 104))
    }

    @Test("Lists nested two thousand deep cost nothing")
    func depth() throws {
        var text = "0:~"
        var closing = 3
        for _ in 0..<2000 {
            text = "\(closing):\(text)]"
            closing = text.utf8.count
        }
        let list = try parse(text)
        #expect(list.tag == .list)
        let count = try list.elements().count
        #expect(count == 1)
    }

    @Test(
        "Times keep their nanoseconds both ways",
        arguments: [
            ("1700000000.123456789", 1_700_000_000_123_456_789, "1700000000.123456789"),
            ("1700000000", 1_700_000_000_000_000_000, "1700000000.0"),
            ("0.1", 100_000_000, "0.1"),
            ("-1.5", -1_500_000_000, "-1.5"),
            ("1.9999999999", 1_999_999_999, "1.999999999"),
            ("1e3", 1_000_000_000_000, "1000.0"),
        ] as [(String, Int64, String)])
    func times(text: String, nanoseconds: Int64, written: String) {
        let time = Timestamp(decimalSeconds: text)
        #expect(time == Timestamp(nanoseconds: nanoseconds))
        #expect(time?.decimalSeconds == written)
    }

    @Test(
        "Text that is not a time is rejected",
        arguments: ["", ".", "nan", "inf", "-", "1.2.3", "99999999999", "1e300", "1x", "--1"])
    func noTime(text: String) {
        #expect(Timestamp(decimalSeconds: text) == nil)
    }
}
