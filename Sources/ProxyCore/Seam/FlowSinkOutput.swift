import FlowModel

/// The output of a session for one event: commands for the driver, and flow events for the recording.
package struct ProxyOutput {
    package var commands: [ProxyCommand] = []
    package var records: [FlowEvent] = []

    package init() {}
}
