import FlowModel

/// Where an upstream connection leads.
struct Destination: Equatable {
    var endpoint: Endpoint
    /// nil: not decided yet.
    var isTLS: Bool?
}
