// Entries with the same key and the same content. Content is digested the first time that its key is asked for, and only once.

/// Chains of entries by key and content.
struct ContentChains {
    /// By the hash of key and content.
    private var chains: [UInt64: EntryChain] = [:]
    private var links: [Entry] = []
    /// The last entry of each key whose content has been digested.
    private var digested: [UInt64: Entry] = [:]

    /// The last entry of a key that was added; nil: none was.
    func lastDigested(_ key: UInt64) -> Entry? { digested[key] }

    mutating func setLastDigested(_ key: UInt64, _ entry: Entry) { digested[key] = entry }

    /// - Parameter digest: of the content of the entry.
    mutating func add(_ entry: Entry, _ key: UInt64, digest: UInt64) {
        if links.count <= Int(entry) { links += repeatElement(.none, count: Int(entry) + 1 - links.count) }
        EntryChain.append(entry, to: &chains[Self.hash(key, digest)], &links)
    }

    func first(_ key: UInt64, digest: UInt64) -> Entry? { chains[Self.hash(key, digest)]?.first }

    /// The next entry with the same key and content, or ``Entry/none``.
    func next(after entry: Entry) -> Entry { Int(entry) < links.count ? links[Int(entry)] : .none }

    private static func hash(_ key: UInt64, _ digest: UInt64) -> UInt64 {
        var hash = ByteHash()
        hash.add(key)
        hash.add(digest)
        return hash.value
    }
}
