import FlowModel

/// The destination of an upstream connection.
struct Destination: Equatable {
    var endpoint: Endpoint
    /// nil: not decided yet.
    var isTLS: Bool?
}
