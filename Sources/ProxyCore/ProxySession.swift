// A session: one client connection and the upstream connections that it causes. This file takes the events in and hands each to the
// part it concerns; the parts are extensions: reading and writing (Streams), TLS interception, HTTP exchanges, tunnels, upstreams.
//
//     detecting ──TLS──▶ intercepting ──▶ handshaking ──▶ http │ detecting
//         └──HTTP──▶ http ──CONNECT──▶ connecting ──▶ detecting        http ──101──▶ tunnel
//         └──else──▶ tunnel                                            any ──▶ lingering

import FlowModel
import HTTP1Codec
import HTTPSemantics
import NIOCore
import TLSEngine

/// The state machine of one client connection. Sans-IO: see ``ProxyEvent`` and ``ProxyCommand``. Used on one thread.
package final class ProxySession: ProxySessionProtocol {
    /// What the client's bytes are at the moment.
    enum Phase {
        /// The first bytes will tell what is spoken.
        case detecting
        /// A ClientHello is there; the upstream's TLS or the certificate is not.
        case intercepting(ClientHello)
        /// Our side of TLS with the client.
        case handshaking
        case http
        /// CONNECT waits for the server.
        case connecting(RequestHead)
        case tunnel(Tunnel)
        /// We closed; what the client still says is dropped.
        case lingering
    }

    let configuration: ProxyConfiguration
    var identities: IdentityGenerator
    /// The moment of the event that is being handled.
    var now = Timestamp(nanoseconds: 0)
    var output = ProxyOutput()

    var phase = Phase.detecting
    var client = Leg(handle: .client)
    var clientFacts = Shared(ClientConnection.unknown)
    /// Bytes of the client that nobody could use yet.
    var backlog = ByteBuffer()
    var route: Route?
    var decoder: HTTP1Decoder
    var exchange: Exchange?
    var exchangeCount: UInt32 = 0
    var upstream: Upstream?
    var upstreamCount: UInt32 = 0
    var isHandshakeTimerRunning = false
    /// Requests are being taken from the decoder further up the stack.
    var isAdvancing = false
    var lastActivity = Timestamp(nanoseconds: 0)

    /// - Parameter seed: random, for identities.
    package init(configuration: ProxyConfiguration, seed: UInt64) {
        self.configuration = configuration
        self.identities = IdentityGenerator(seed: seed)
        self.decoder = HTTP1Decoder(.requests, limits: configuration.limits, validation: configuration.validation)
        if case .reverse(let isTLS, let endpoint) = configuration.mode {
            route = Route(destination: Destination(endpoint: endpoint, isTLS: isTLS), isTunnel: false)
        }
    }

    package func receive(_ event: ProxyEvent, at now: Timestamp, into output: inout ProxyOutput) {
        swap(&self.output, &output)
        self.now = now
        handle(event)
        regulateReading()
        flush(.client)
        flush(.server)
        swap(&self.output, &output)
    }

    private func handle(_ event: ProxyEvent) {
        switch event {
        case .started(let peer, let local):
            start(peer: peer, local: local)
        case .received(let handle, let bytes):
            lastActivity = now
            if handle == .client {
                client.lastRead = now
                clientReceived(bytes)
            } else if handle == upstream?.leg.handle {
                upstream?.leg.lastRead = now
                upstreamReceived(bytes)
            }
        case .halfClosed(let handle):
            if handle == .client {
                clientHalfClosed()
            } else if handle == upstream?.leg.handle {
                upstreamHalfClosed()
            }
        case .closed(let handle, let error, let isReset):
            if handle == .client {
                clientClosed(error: error, isReset: isReset)
            } else if handle == upstream?.leg.handle {
                upstreamClosed(error: error, isReset: isReset)
            }
        case .opened(let handle, let peer, let local):
            if handle == upstream?.leg.handle { upstreamOpened(peer: peer, local: local) }
        case .openFailed(let handle, let reason):
            if handle == upstream?.leg.handle { upstreamFailed(reason) }
        case .writable(let handle, let isWritable):
            if handle == .client {
                client.isWritable = isWritable
            } else if handle == upstream?.leg.handle {
                upstream?.leg.isWritable = isWritable
            }
        case .timerFired(let timer):
            timerFired(timer)
        case .certificateReady(let result):
            certificateReady(result)
        case .shutdown:
            shutDown()
        }
    }

    private func start(peer: Endpoint, local: Endpoint) {
        lastActivity = now
        clientFacts = Shared(
            ClientConnection(
                id: identities.next(at: now), peer: peer, local: local, opened: now, mode: configuration.modeText))
        output.commands.append(.startTimer(.idle, nanoseconds: configuration.timeouts.idle))
        // A forward proxy is spoken to in HTTP from the first byte.
        if route == nil { phase = .http }
    }

    private func timerFired(_ timer: ProxyTimer) {
        switch timer {
        case .idle:
            let remaining = configuration.timeouts.idle - (now - lastActivity)
            if remaining > 0 {
                output.commands.append(.startTimer(.idle, nanoseconds: remaining))
            } else {
                endEverything(FlowError(side: nil, message: "nothing was received for too long", at: now))
            }
        case .handshake:
            isHandshakeTimerRunning = false
            handshakeTimedOut()
        case .linger:
            output.commands.append(.close(.client))
        }
    }

    private func handshakeTimedOut() {
        switch phase {
        case .detecting:
            // The client waits for the server to speak first.
            route?.isTunnel == true ? startTunnel() : closeClient(.clean)
        case .intercepting, .handshaking:
            recordFailedTLS(FlowError(side: .client, message: "the client did not complete the TLS handshake in time", at: now))
            closeClient(.truncated)
        case .http where exchange == nil:
            refuse(
                status: 408, FlowError(side: .client, message: "the client did not complete the request in time", at: now),
                head: decoder.takeRest())
        default:
            break
        }
    }

    private func shutDown() {
        endEverything(FlowError(side: nil, message: "the recorder was stopped", at: now))
    }

    /// Ends whatever is open, records it as cut, and closes both sides.
    func endEverything(_ error: FlowError) {
        endOpenFlow(FlowEnding(state: .incomplete, error: error))
        closeUpstream()
        if exchange == nil, case .lingering = phase {} else { closeClient(.truncated) }
    }

    /// Records the end of the flow that is open, if one is.
    func endOpenFlow(_ ending: FlowEnding) {
        if let exchange {
            record(exchange.flow, at: now, .ended(ending))
            self.exchange = nil
        } else if case .tunnel(let tunnel) = phase {
            record(tunnel.flow, at: now, .ended(ending))
            phase = .lingering
        } else if case .connecting(let head) = phase, let error = ending.error {
            recordRefused(head.wire, error: error)
        }
        if let failure = route?.failure { recordFailedTLS(failure) }
    }

    /// Says one thing of a flow.
    func record(_ flow: FlowID, at: Timestamp, _ what: FlowEvent.What) {
        output.records.append(FlowEvent(flow: flow, at: at, what: what))
    }

    func log(_ level: LogLine.Level, _ text: @autoclosure () -> String) {
        output.commands.append(.log(LogLine(level, text())))
    }
}
