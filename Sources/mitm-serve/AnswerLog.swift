// What was answered: a line of the event log and of the journal for each request and stream, written when the answer has been sent.

import FlowModel
import FlowPrinter
import FlowReplay
import Glibc
import NIOCore
import ProxyCore
import ProxyToolSupport
import ProxyTransport
import Synchronization
import ToolSupport

/// One request, or stream, and its answer.
struct AnswerRecord: Sendable {
    /// When the request was complete, or the stream began.
    var time: Timestamp
    /// Empty for a stream.
    var method: String
    var url: String
    var status: Int?
    /// Bytes of content that were sent.
    var size: UInt64 = 0
    /// Nanoseconds until the last byte.
    var duration: Int64 = 0
    var recording: (id: FlowID, file: String)?
    /// Why no recording answered, and the nearest recording.
    var miss: (reason: String, nearest: FlowID?)?
    /// --fault asked for it.
    var isFault = false
    /// How the answer ended before its end.
    var remark: String?

    /// `GET http://a/ -> 200 1.2 kB 3 ms, recording 0199… of a.mflow`.
    var line: String {
        let request = (method.isEmpty ? url : "\(method) \(url)").short
        let remark = remark.map { " (\($0))" } ?? ""
        if let miss { return "no recording answers \(request): \(miss.reason)" + remark }
        var text = "\(request) ->"
        if let status { text += " \(status)" }
        if isFault { text += " a fault of --fault" }
        if let recording {
            text += " \(readableSize(size)) \(readableDuration(duration)), recording \(recording.id) of \(recording.file)"
        }
        return text + remark
    }

    /// The members of an object, after its time. Absent facts are left out.
    func write(into writer: inout JSONWriter) {
        func member(_ name: StaticString, _ value: String?) {
            guard let value else { return }
            writer.key(name)
            writer.string(value)
        }
        if !method.isEmpty { member("method", method) }
        member("url", url)
        if let status {
            writer.key("status")
            writer.number(status)
        }
        member("result", isFault ? "fault" : miss != nil ? "miss" : "answered")
        if let recording {
            writer.key("size")
            writer.number(size)
            writer.key("ms")
            writer.milliseconds(duration)
            member("flow", "\(recording.id)")
            member("file", recording.file)
        }
        if let miss {
            member("reason", miss.reason)
            member("nearest", miss.nearest.map { "\($0)" })
        }
        member("remark", remark)
    }
}

/// Where answers are noted.
struct AnswerLog: Sendable {
    var log: EventLog
    var journal: Journal?
    /// The time of a session stands still while it sends.
    let clock: RecorderClock

    var isWanted: Bool { log.isWanted(.notice) || journal != nil }

    func note(_ record: @autoclosure () -> AnswerRecord) {
        guard isWanted else { return }
        let record = record()
        let event = record.isFault ? "fault" : record.miss != nil ? "miss" : "answer"
        log.log(.notice, event, record.line) { record.write(into: &$0) }
        journal?.append(record)
    }
}

/// A file with a line of JSON for each request and stream.
final class Journal: Sendable {
    private let file: LineFile

    /// Opens the file; lines are appended.
    /// - Throws: ``ToolError``.
    init(path: String) throws { file = try LineFile(path, name: "the journal") }

    func append(_ record: AnswerRecord) {
        var bytes = ByteBuffer()
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("time")
        writer.time(record.time)
        record.write(into: &writer)
        writer.endObject()
        writer.write(into: &bytes)
        bytes.writeString("\n")
        if let change = file.append(Array(bytes.readableBytesView)) { printError(change, as: "mitm-serve") }
    }
}

/// The recording that a stream has chosen. Used by one session.
final class ChosenRecording {
    var value: (id: FlowID, file: String)?
}

/// Observes a player, and notes the answer at its end. Used by one session.
final class NotedPlayer: ServerPlayer {
    private let player: any ServerPlayer
    private let log: AnswerLog
    /// nil after the answer has been noted.
    private var record: AnswerRecord?
    private let endsWithMessage: Bool
    private let chosen: ChosenRecording?

    /// - Parameters:
    ///   - endsWithMessage: the end of the response is the end of the answer; otherwise the end of the conversation is.
    ///   - chosen: the recording, if it is not in the record yet.
    init(
        _ player: any ServerPlayer, _ record: AnswerRecord, endsWithMessage: Bool, chosen: ChosenRecording? = nil, log: AnswerLog
    ) {
        self.player = player
        self.chosen = chosen
        self.record = record
        self.endsWithMessage = endsWithMessage
        self.log = log
    }

    deinit { end("the client left before the end") }

    var hasContent: Bool { player.hasContent }

    func next(at now: Timestamp) throws -> ServerStep {
        let step: ServerStep
        do {
            step = try player.next(at: now)
        } catch {
            end("the recording cannot be read: \(error)")
            throw error
        }
        switch step {
        case .say(.response(let head)): record?.status = head.status
        case .say(.piece(let piece)): record?.size += UInt64(piece.content.readableBytes)
        case .say(.finished(.server)) where endsWithMessage: end(nil)
        case .end(let ending): end(endsWithMessage ? ending.error.map { "as recorded: \($0.message)" } ?? "cut as recorded" : nil)
        default: break
        }
        return step
    }

    private func end(_ remark: String?) {
        guard var record else { return }
        self.record = nil
        record.duration = max(0, log.clock.now() - record.time)
        record.remark = remark
        if let chosen { record.recording = chosen.value }
        log.note(record)
    }

    func receive(_ piece: FlowPiece, at now: Timestamp) { player.receive(piece, at: now) }
    func clientFinished(at now: Timestamp) { player.clientFinished(at: now) }
    func takeComplaints() -> [String] { player.takeComplaints() }
}
