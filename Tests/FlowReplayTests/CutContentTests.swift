// Recordings that do not have all content: what is served, sent again and compared of them.

import ContentLimit
import FlowModel
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

@testable import FlowReplay

/// A flow as it is recorded with a limit.
private func limited(_ flow: Flow, to maximum: UInt64) throws -> Flow {
    let stage = ContentLimit(maximum: maximum).stage()
    var assembler: FlowAssembler?
    try flow.forEachEvent { event in
        stage.receive(event.what, at: event.at) { what, at in
            if case .opened(let opening) = what {
                assembler = FlowAssembler(id: event.flow, at: at, opening: opening, keepsPieces: true)
            }
            assembler?.receive(what, at: at)
        }
    }
    return try #require(assembler?.flow)
}

private func post(_ number: UInt64, _ content: String, answer: String = "") -> Flow {
    exchange(number: number, at: Int64(number), requestHead("POST / HTTP/1.1"), content: content, answer: answer)
}

@Suite("Recordings of which not all content is stored")
struct CutContentTests {
    @Test("A request with the same size and SHA-256 finds a recording of which only the beginning is stored")
    func request() throws {
        let flows = [try limited(post(1, "abcdef"), to: 3), post(2, "whole"), try limited(post(3, "abcxyz"), to: 0)]
        var asker = Asker(flows)
        let post = requestHead("POST / HTTP/1.1")
        #expect(try asker.ask(post, content: "abcdef") == "1")
        #expect(try asker.ask(post, content: "abcxyz") == "3")
        #expect(try asker.ask(post, content: "whole") == "2")
        #expect(try asker.ask(post, content: "abcde") == "-" && asker.ask(post, content: "abc") == "-")
        #expect(
            asker.explain(post, content: "abcde").hasSuffix(
                "the body, of which only the first 3 of 6 bytes are recorded: asked with 5 bytes, whose SHA-256 is another"))
    }

    @Test("A recording with all content is preferred; one without it names what is missing")
    func response() throws {
        let cut = try limited(post(1, "", answer: "answer"), to: 2)
        #expect(cut.cutAnswer == "the recording has only the first 2 of the 6 bytes of the response's content")
        #expect(try limited(cut, to: 0).cutAnswer == "the recording does not have the 6 bytes of the response's content")
        #expect(post(1, "", answer: "answer").cutAnswer == nil)
        var asker = Asker([cut, post(2, "", answer: "answer")])
        #expect(try asker.ask(requestHead("POST / HTTP/1.1")) == "2")
    }

    @Test("HEAD is answered with the head of the whole content")
    func head() throws {
        let recorded = exchange(number: 1, requestHead(), responseHead("HTTP/1.1 200 OK", ["Content-Length: 6"]), answer: "answer")
        let cut = try limited(recorded, to: 2)
        let context = ResponseContext(request: requestHead("HEAD / HTTP/1.1"), now: moment(0), keepsDates: true, accept: nil)
        #expect(cut.response(for: context)?.head.fields.first("content-length") == bytes("6"))
    }

    @Test("A stream and a conversation are not served when the server's data is not all stored")
    func conversations() throws {
        let stream = flow(
            .tcp, number: 1,
            [(0, said("ping", by: .client)), (1, said("a long pong", by: .server)), (2, .ended(FlowEnding(state: .complete)))])
        #expect(try limited(stream, to: 4).cutAnswer == "the recording does not have all 11 bytes of the server's data")
        #expect(try limited(stream, to: 11).cutAnswer == nil)
        let chat = flow(
            number: 2,
            [
                (0, .request(requestHead())), (1, .response(responseHead("HTTP/1.1 101 Switching Protocols"))),
                (2, said("a long question", by: .client, .text)), (3, said("yes", by: .server, .text)),
                (4, .ended(FlowEnding(state: .complete))),
            ])
        #expect(try limited(chat, to: 3).cutAnswer == nil)
        #expect(try limited(chat, to: 2).cutAnswer == "a message of the server is not whole in the recording")
        // The client's message is recognised by its digest.
        var recorded: FlowPiece?
        try limited(chat, to: 3).pieces.forEach { _, piece in
            recorded = recorded ?? piece
            return recorded == nil
        }
        let likeness = DialogueLikeness(chat, [])
        let first = try #require(recorded)
        #expect(likeness.isSame(FlowPiece(kind: .text, from: .client, content: bytes("a long question")), first))
        #expect(!likeness.isSame(FlowPiece(kind: .text, from: .client, content: bytes("a long answer..")), first))
    }

    @Test("What the client sent is not sent again without all of it, and the reason is given")
    func plan() throws {
        let stream = flow(.tcp, number: 1, [(0, said("ping", by: .client)), (2, .ended(FlowEnding(state: .complete)))])
        let chat = flow(
            number: 2,
            [
                (
                    0,
                    .request(
                        requestHead(
                            "GET / HTTP/1.1",
                            [
                                "Host: a", "Upgrade: websocket", "Connection: upgrade",
                                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13",
                            ]))
                ),
                (1, .response(responseHead("HTTP/1.1 101 Switching Protocols"))),
                (2, said("ping", by: .client, .text)), (4, .ended(FlowEnding(state: .complete))),
            ])
        var builder = ReplayPlan.Builder(ReplayPlan.Options())
        for flow in [stream, chat, post(3, "ping")] { builder.add(try limited(flow, to: 3), at: nil) }
        let plan = builder.finish()
        #expect(plan.flowCount == 0)
        #expect(
            plan.leftOut == [
                "the client's data is not whole in the recording": 1, "a message of the client is not whole in the recording": 1,
                "the request's content is not whole in the recording": 1,
            ])
    }

    @Test(
        "An answer is compared with the stored beginning, the size and the SHA-256 of a recorded one",
        arguments: [
            ("abcdef", []), ("abcdefg", ["body: 6 bytes → 7 bytes"]), ("abXdef", ["body: abc → abX"]),
            ("abcdeX", ["body: 6 bytes → 6 bytes, another SHA-256: after the first 3 bytes, which are recorded"]),
        ] as [(String, [String])])
    func comparison(now: String, differences: [String]) throws {
        let comparison = FlowComparison(ignoring: try IgnoreRules([], for: .responses), maximumDifferences: 5)
        let recorded = try limited(post(1, "", answer: "abcdef"), to: 3)
        #expect(try comparison.differences(recorded: recorded, new: post(1, "", answer: now)).lines == differences)
    }
}
