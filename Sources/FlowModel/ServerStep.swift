// The next step of a recorded server: what the modules that read recordings tell those that implement the protocols.

import HTTPSemantics
import NIOCore

/// One step of a recorded server.
package enum ServerStep: Sendable {
    /// Send this: a head, content, a message, trailers, the end of the message or of one side of the stream.
    case say(FlowEvent.What)
    /// Send nothing before this time.
    case wait(until: Timestamp)
    /// Send nothing before the client has sent more.
    case waitForClient
    /// The recording ends here. An exchange or stream that is not complete is cut off as it was when recorded.
    case end(FlowEnding)
}
