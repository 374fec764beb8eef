// The surroundings of all parts of one session: the moment, the output, identities, deadlines, numbers of requests to the driver. A part gets
// it as a parameter or when it is made; no part reaches another one through it.

import FlowModel
import FlowRecords
import NIOCore

/// The surroundings of the parts of one session. A test makes one to drive a part without a session. Used on one thread.
final class SessionContext {
    let configuration: ProxyConfiguration
    /// The moment of the event that is being handled.
    private(set) var now = Timestamp(nanoseconds: 0)
    private(set) var output = ProxyOutput()
    var identities: IdentityGenerator
    var deadlines = Deadlines()
    private var requests: UInt32 = 0
    private var connections: UInt32 = 0
    /// The streams whose tunnels have these connections; the rest are the client connection's own.
    private(set) var owners: [ConnectionHandle: UInt32] = [:]
    private var flows = OpenFlows()

    init(configuration: ProxyConfiguration, seed: UInt64) {
        self.configuration = configuration
        identities = IdentityGenerator(seed: seed)
    }

    /// Begins to handle an event.
    func begin(at now: Timestamp, _ output: inout ProxyOutput) {
        self.now = now
        swap(&self.output, &output)
    }

    /// The event is handled: hands the output back.
    func end(_ output: inout ProxyOutput) {
        if let moment = deadlines.takeWake() { emit(.wake(at: moment)) }
        swap(&self.output, &output)
    }

    // MARK: Commands

    func emit(_ command: ProxyCommand) { output.commands.append(command) }

    /// A number for a question to the driver; its answer has the same.
    func nextRequest() -> RequestID {
        requests += 1
        return RequestID(requests)
    }

    /// Appends a line to the event log, if its level is wanted.
    func log(_ level: LogLine.Level, _ line: @autoclosure () -> LogLine) {
        if level >= configuration.lowestLogLevel { emit(.log(line())) }
    }

    // MARK: Connections to servers

    /// A handle for a connection that is to be opened.
    /// - Parameter stream: the tunnel that it is for; 0 for the client connection itself.
    func nextConnection(for stream: UInt32) -> ConnectionHandle {
        connections += 1
        let handle = ConnectionHandle(connections)
        if stream != 0 { owners[handle] = stream }
        return handle
    }

    /// A connection is gone, or could not be opened.
    func forget(_ handle: ConnectionHandle) { owners[handle] = nil }

    // MARK: The recording

    /// Appends one event to the record of a flow. After the end of a flow nothing is appended.
    func record(_ flow: FlowID, at: Timestamp, _ what: FlowEvent.What) {
        guard configuration.isRecording,
            let record = flows.record(of: flow, what, from: &output.records, stages: configuration.recordStages)
        else { return }
        output.records.add(what, to: record, at: at)
        if record.hasEnded { flows.remove(record) }
    }

    // MARK: Deadlines

    func start(_ deadline: Deadline, after nanoseconds: Int64) {
        deadlines.set(deadline, at: now.advanced(byNanoseconds: nanoseconds))
    }
}
