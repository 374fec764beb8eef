// Flows as rows of an Arrow stream. Rows are gathered by column and written in batches.

import ArrowStream
import ContentCoding
import FlowModel
import HTTPSemantics
import NIOCore

/// Where a flow is stored.
package struct FlowOrigin: Sendable, Equatable {
    /// Offset in its file of the block with its last part.
    package var blockOffset: UInt64
    package var partCount: Int

    package init(blockOffset: UInt64, partCount: Int) {
        self.blockOffset = blockOffset
        self.partCount = partCount
    }
}

/// Writes flows as rows. Used by one thread.
@safe package final class ArrowRows {
    /// Rows of a batch, and bytes of texts and content after which it ends earlier: offsets in a batch have 32 bits.
    private static let maximumRows = 8192
    private static let maximumData = 64 << 20
    /// The limit of bodies and messages unless another is given, and the largest one.
    package static let defaultBodyLimit: UInt64 = 16 << 20
    package static let maximumBodyLimit: UInt64 = 1 << 30

    /// How a column receives its value: texts are copied from where the flow has them.
    private enum Step {
        case id, tags, path, query, url
        case text(FlowText)
        case mediaType(Side)
        case column(FlowColumn)
        /// A key with a parameter: its index among the columns.
        case key(Int)
        case place(ArrowColumn.Place)
        case content(ArrowColumn.Content)

        init(_ column: ArrowColumn, _ index: Int) {
            self =
                switch column {
                case .key(.column(let column)): Step(column)
                case .key: .key(index)
                case .place(let place): .place(place)
                case .content(let content): .content(content)
                }
        }

        private init(_ column: FlowColumn) {
            self =
                switch column {
                case .id: .id
                case .tags: .tags
                case .path: .path
                case .query: .query
                case .url: .url
                case .scheme: .text(.scheme)
                case .host: .text(.host)
                case .method: .text(.method)
                case .error: .text(.error)
                case .requestType: .mediaType(.client)
                case .responseType: .mediaType(.server)
                case .client: .text(.connection(.address, .client))
                case .server: .text(.connection(.address, .server))
                case .tlsVersion: .text(.connection(.tlsVersion, .client))
                case .alpn: .text(.connection(.alpn, .client))
                case .sni: .text(.connection(.serverName, .client))
                case .ja4: .text(.connection(.ja4, .client))
                case .kind, .state, .started, .ended, .duration, .timeToFirstByte, .port, .httpVersion, .status, .requestBytes,
                    .responseBytes:
                    .column(column)
                }
        }
    }

    private let columns: [ArrowColumn]
    private let steps: [Step]
    private let writer: ArrowStreamWriter
    private let arrays: [ArrowArray]
    /// The same without a reference count, which would cost more than most values.
    // SAFETY: `arrays` keeps them as long as this object, and does not change.
    private let uncounted: [Unmanaged<ArrowArray>]
    /// The URL of a row.
    private let line = ByteWriter(capacity: 256)
    private let bodyLimit: Int
    private var count = 0
    private let hasContent: Bool

    /// The file of the flows that follow; nil is standard input.
    package var file: ByteBuffer?

    /// - Parameter bodyLimit: the most bytes of each body and message; at most ``maximumBodyLimit``.
    package init(_ columns: [ArrowColumn], bodyLimit: UInt64 = defaultBodyLimit) {
        precondition(bodyLimit <= Self.maximumBodyLimit)
        self.columns = columns
        steps = columns.enumerated().map { Step($1, $0) }
        self.bodyLimit = Int(bodyLimit)
        hasContent = columns.contains { if case .content = $0 { true } else { false } }
        writer = ArrowStreamWriter(columns.map(\.field), metadata: [("mflow.schema", "1")])
        arrays = writer.arrays()
        unsafe uncounted = arrays.map { unsafe Unmanaged.passUnretained($0) }
    }

    /// The columns need flows as a whole, not only their attributes.
    package var needsFlows: Bool { columns.contains { $0.needsFlow } }

    /// Appends the beginning of the stream.
    package func begin(into out: inout ByteBuffer) { writer.writeSchema(into: &out) }

    /// Adds a row, and appends the batch that it completes.
    /// - Parameters:
    ///   - whole: the flow; nil if no column needs more than its attributes.
    ///   - origin: nil if it is not stored in a flow file as it is.
    package func append(_ flow: some FlowAttributes, whole: Flow? = nil, origin: FlowOrigin?, into out: inout ByteBuffer) {
        for index in steps.indices {
            unsafe uncounted[index]._withUnsafeGuaranteedRef { append(steps[index], of: flow, origin, to: $0) }
        }
        if let whole { addContent(of: whole) }
        count += 1
        if count == Self.maximumRows || hasContent && arrays.reduce(0, { $0 + $1.dataSize }) >= Self.maximumData {
            endBatch(into: &out)
        }
    }

    private func append(_ step: Step, of flow: some FlowAttributes, _ origin: FlowOrigin?, to array: ArrowArray) {
        switch step {
        case .id: array.append(id: flow.id)
        case .tags: add(tags: flow, to: array)
        case .path: unsafe array.append(flow, .target) { unsafe $0.targetParts.path }
        case .query: unsafe array.append(flow, .target) { unsafe $0.targetParts.query ?? 0..<0 }
        case .url:
            line.clear()
            if flow.appendDisplayURL(to: line), line.count > 0 { unsafe array.append(line.bytes) } else { array.appendNull() }
        case .text(let text): unsafe array.append(flow, text) { 0..<$0.count }
        case .mediaType(let side): array.append(mediaTypeOf: flow, side)
        // Damaged content has no value; the reader of the flow reports the damage.
        case .column(let column): array.append((try? column.value(of: flow)) ?? .none)
        case .key(let index):
            guard case .key(let key) = columns[index] else { return }
            array.append((try? key.value(of: flow)) ?? .none)
        case .place(.file): array.append(FlowValue(file))
        case .place(.blockOffset): array.append(FlowValue(origin?.blockOffset))
        case .place(.partCount): array.append(origin.map { .number(Int64($0.partCount)) } ?? .none)
        case .content(.requestHeaders): add(flow.requestFields, to: array)
        case .content(.responseHeaders): add(flow.responseFields, to: array)
        case .content: break
        }
    }

    /// Appends the rows that were gathered.
    package func endBatch(into out: inout ByteBuffer) {
        guard count > 0 else { return }
        writer.writeBatch(arrays, into: &out)
        for array in arrays { array.clear() }
        count = 0
    }

    /// Appends the rest of the stream.
    package func finish(into out: inout ByteBuffer) {
        endBatch(into: &out)
        writer.writeEnd(into: &out)
    }

    private func add(tags flow: some FlowAttributes, to array: ArrowArray) {
        guard flow.isTagged else { return array.appendNull() }
        for tag in flow.tagTexts { array.children[0].append(tag) }
        array.appendList()
    }

    private func add(_ fields: FieldSection?, to array: ArrowArray) {
        guard let fields else { return array.appendNull() }
        let pair = array.children[0]
        for line in fields.lines {
            pair.children[0].append(fields.slice(line.name))
            pair.children[1].append(fields.slice(line.value))
            pair.appendStructure()
        }
        array.appendList()
    }

    // MARK: Content

    private func addContent(of flow: Flow) {
        var bodies: [Side: Body] = [:]
        func body(_ side: Side) -> Body {
            if let known = bodies[side] { return known }
            let body = Body(flow, side, limit: bodyLimit)
            bodies[side] = body
            return body
        }
        for (index, step) in steps.enumerated() {
            guard case .content(let content) = step else { continue }
            switch content {
            case .requestHeaders, .responseHeaders: break
            case .requestBody: arrays[index].append(body(.client))
            case .responseBody: arrays[index].append(body(.server))
            case .requestBodyComplete: arrays[index].append(isComplete: body(.client))
            case .responseBodyComplete: arrays[index].append(isComplete: body(.server))
            case .messages: add(messages: flow, to: arrays[index])
            }
        }
    }

    private func add(messages flow: Flow, to array: ArrowArray) {
        guard flow.isWebSocket || flow.kind == .tcp else { return array.appendNull() }
        let message = array.children[0]
        func add(_ at: Timestamp, _ from: Side, _ kind: FlowPiece.Kind, _ size: UInt64, _ content: ByteBuffer?, isCut: Bool) {
            guard kind != .data || flow.kind == .tcp else { return }
            let stored = content.map { $0.slice(ByteRange(0, min($0.readableBytes, bodyLimit))) }
            message.children[0].append(at.nanoseconds)
            message.children[1].append(ByteBuffer(string: "\(from)"))
            message.children[2].append(ByteBuffer(string: "\(kind)"))
            message.children[3].append(Int64(clamping: size))
            if let stored { message.children[4].append(stored) } else { message.children[4].appendNull() }
            message.children[5].append(!isCut && stored.map { UInt64($0.readableBytes) == size } ?? false)
            message.appendStructure()
        }
        // Without its items a flow has no messages; the reader of the flow reports the damage.
        try? flow.pieces.forEach { at, piece in
            add(at, piece.from, piece.kind, piece.size, piece.content, isCut: piece.cut != nil)
            return true
        } damaged: { piece in
            add(piece.at, piece.from, piece.kind, piece.size, nil, isCut: false)
            return true
        }
        array.appendList()
    }
}

/// The body of one side.
private struct Body {
    /// nil without a message, and when it is damaged.
    var content: ByteBuffer?
    /// nil without a message.
    var isComplete: Bool?

    init(_ flow: Flow, _ side: Side, limit: Int) {
        let isWhole = side == .client ? flow.request?.isComplete : flow.response?.isComplete
        guard let isWhole, let stored = side == .client ? flow.request?.storedSize : flow.response?.storedSize else { return }
        isComplete = false
        // Content that does not become smaller by its coding becomes a little larger.
        let fetched = limit + limit / 64 + 64 * 1024
        guard let wire = (try? flow.pieces.contentUnlessDamaged(from: side, maximum: fetched)) ?? nil else { return }
        let codings = flow.storedCodings(from: side)
        if codings.isEmpty {
            content = wire.slice(ByteRange(0, min(limit, wire.readableBytes)))
            isComplete = isWhole && stored <= UInt64(limit)
        } else {
            let decoded = decodeContent(wire, codings: codings, maximum: limit)
            content = decoded.content.slice(ByteRange(0, min(limit, decoded.content.readableBytes)))
            isComplete = isWhole && decoded.outcome == .complete
        }
    }
}

extension ArrowArray {
    /// Appends an identifier in the form of its description, without making a text of it: every flow has one.
    fileprivate func append(id: FlowID) {
        unsafe withUnsafeTemporaryAllocation(byteCount: 36, alignment: 1) { text in
            var place = 0
            for index in 0..<32 {
                if index == 8 || index == 12 || index == 16 || index == 20 {
                    unsafe text[place] = UInt8(ascii: "-")
                    place &+= 1
                }
                let half = index < 16 ? id.high : id.low
                let digit = UInt8(truncatingIfNeeded: half &>> UInt64(60 &- 4 &* (index & 15))) & 15
                unsafe text[place] = digit < 10 ? 0x30 &+ digit : 0x57 &+ digit
                place &+= 1
            }
            unsafe append(UnsafeRawBufferPointer(text))
        }
    }

    /// Appends a part of a text of a flow; null when it is empty.
    fileprivate func append(_ flow: some FlowAttributes, _ text: FlowText, part: (UnsafeRawBufferPointer) -> Range<Int>) {
        var isThere = false
        unsafe flow.withText(text) { bytes in
            let part = unsafe part(bytes)
            guard !part.isEmpty else { return }
            isThere = true
            unsafe append(UnsafeRawBufferPointer(rebasing: bytes[part]))
        }
        if !isThere { appendNull() }
    }

    fileprivate func append(mediaTypeOf flow: some FlowAttributes, _ side: Side) {
        var isThere = false
        unsafe flow.withText(.contentType(side)) { bytes in
            let (end, isLower) = unsafe bytes.mediaType
            guard end > 0 else { return }
            isThere = true
            let type = unsafe UnsafeRawBufferPointer(rebasing: bytes[..<end])
            if isLower { unsafe append(type) } else { append(ByteBuffer(bytes: unsafe type.map(\.lowercased))) }
        }
        if !isThere { appendNull() }
    }

    fileprivate func append(_ value: FlowValue) {
        switch value {
        case .none: appendNull()
        case .text(let text): append(text)
        case .number(let number): append(number)
        case .time(let time): append(time.nanoseconds)
        }
    }

    fileprivate func append(_ body: Body) {
        if let content = body.content { append(content) } else { appendNull() }
    }

    fileprivate func append(isComplete body: Body) {
        if let isComplete = body.isComplete { append(isComplete) } else { appendNull() }
    }
}
