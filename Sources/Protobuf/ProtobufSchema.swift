// The types that a tool knows: those that the user named, those that this module has, and those of the recording itself, where a client asked
// a server for its descriptors (grpc/doc/server-reflection.md).

import HTTPSemantics
import NIOCore
import Synchronization

/// Which message of a call, and of which method.
package struct RPCMessage: Sendable {
    /// `package.Service/Method`.
    package let method: String
    package let side: Side

    /// - Parameter target: of the request: `/package.Service/Method`, with anything before it, as Twirp has `/twirp`.
    /// - Returns: nil if the target has no such end.
    package init?(target: ByteBuffer, from side: Side) {
        let path = String(buffer: target.slice(ByteRange(0, min(1024, target.readableBytes)))).prefix { $0 != "?" && $0 != "#" }
        let parts = path.split(separator: "/", omittingEmptySubsequences: false).suffix(2)
        guard parts.count == 2, let service = parts.first, let name = parts.last, !service.isEmpty, !name.isEmpty else {
            return nil
        }
        method = "\(service)/\(name)"
        self.side = side
    }

    /// Whether its server answers with descriptors.
    package var isReflection: Bool { Self.reflectionMethods.contains(method) }

    private static let reflectionMethods: Set<String> = [
        "grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ]
}

/// Types that grow as recordings are read. Used by several threads.
package final class ProtobufSchema: Sendable {
    private struct State {
        var types: ProtobufTypes
        /// The recordings were searched.
        var isComplete = false
    }

    /// Only the types that every schema has.
    package static let builtIn = ProtobufSchema()

    private let state: Mutex<State>
    /// One thread searches, the others wait for it.
    private let search = Mutex(false)
    private let recorded: @Sendable () -> [ByteBuffer]

    /// - Parameters:
    ///   - types: those that the user named.
    ///   - recorded: returns the file descriptors of recordings. Called once, when a type is not known.
    package init(_ types: ProtobufTypes = ProtobufTypes(), recorded: @escaping @Sendable () -> [ByteBuffer] = { [] }) {
        var types = types
        types.addBuiltIn()
        state = Mutex(State(types: types))
        self.recorded = recorded
    }

    /// The types that are known now.
    package var types: ProtobufTypes { state.withLock { $0.types } }

    /// Adds the types of file descriptors; those that are damaged are left out.
    package func add(_ descriptors: [ByteBuffer]) {
        guard !descriptors.isEmpty else { return }
        state.withLock { state in
            for descriptor in descriptors { try? state.types.add(fileDescriptor: descriptor) }
        }
    }

    /// Looks for something among the types, and among those of recordings if it is not there.
    /// - Returns: it, and the types.
    package func find<T>(_ look: (ProtobufTypes) -> T?) -> (found: T, types: ProtobufTypes)? {
        for isSecond in [false, true] {
            if isSecond, !searchRecordings() { return nil }
            let types = types
            if let found = look(types) { return (found, types) }
        }
        return nil
    }

    /// The type of a message.
    /// - Parameters:
    ///   - named: its full name, if it is known.
    ///   - call: where it was sent.
    package func type(named name: String?, of call: RPCMessage?) -> (type: MessageType, types: ProtobufTypes)? {
        guard name != nil || call != nil else { return nil }
        let found = find { types -> MessageType? in
            if let type = name.flatMap({ types.message($0) }) { return type }
            guard let call, let method = types.method(call.method) else { return nil }
            return types.message(call.side == .client ? method.input : method.output)
        }
        return found.map { ($0.found, $0.types) }
    }

    /// - Returns: false if that was done before the last look.
    private func searchRecordings() -> Bool {
        guard !state.withLock({ $0.isComplete }) else { return false }
        search.withLock { isDone in
            guard !isDone else { return }
            isDone = true
            add(recorded())
            state.withLock { $0.isComplete = true }
        }
        return true
    }
}

/// The file descriptors in a message of a reflection server (ServerReflectionResponse).
package func fileDescriptors(inReflectionResponse message: ByteBuffer) -> [ByteBuffer] {
    message.protobufFields(4).flatMap { $0.protobufFields(1) }
}

extension ByteBuffer {
    /// The length-delimited fields of one number, up to the first field that cannot be read.
    fileprivate func protobufFields(_ number: UInt32) -> [ByteBuffer] {
        var reader = ProtobufReader(self)
        var found: [ByteBuffer] = []
        while let field = try? reader.next() {
            if field.number == number, case .lengthDelimited(let bytes) = field.value { found.append(bytes) }
        }
        return found
    }
}
