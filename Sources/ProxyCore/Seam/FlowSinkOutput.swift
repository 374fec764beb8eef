import FlowModel

/// What a session appends to while it handles an event: commands for the driver, and flow events for the recording.
package struct ProxyOutput {
    package var commands: [ProxyCommand] = []
    package var records: [FlowEvent] = []

    package init() {}
}
