// What a server that is played from a recording does next. It stands between those who know the recording and those who speak the protocols.

import HTTPSemantics
import NIOCore

/// One thing that a played server does.
package enum ServerStep: Sendable {
    /// Says this: heads, content, messages, trailers, the end of its message or of its side of the stream.
    case say(FlowEvent.What)
    /// Says nothing before a moment.
    case wait(until: Timestamp)
    /// Says nothing before the client has said more.
    case waitForClient
    /// The recording ends here. An exchange or stream that is not complete by then is cut as it was cut.
    case end(FlowEnding)
}
