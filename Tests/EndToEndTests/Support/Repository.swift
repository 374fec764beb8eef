// Files of the repository that tests use: recordings, peers and scripts.

import Foundation

/// The directory of the repository.
let repository: String = {
    var directory = URL(filePath: #filePath)
    for _ in "Tests/EndToEndTests/Support/Repository.swift".split(separator: "/") { directory.deleteLastPathComponent() }
    return directory.path
}()

/// Python with h2, httpx, grpcio and websockets, which tools/setup installs.
let python = repository + "/.build-test-venv/bin/python"

/// A program of Tests/Peers.
func peerScript(_ name: String) -> String { repository + "/Tests/Peers/" + name }
