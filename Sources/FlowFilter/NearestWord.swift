// Suggestions for a word that is not known.

/// The word that is most like another one, by the number of changed, added and missing characters; nil if none is like it.
package func nearestWord(to word: String, in words: [String]) -> String? {
    let limit = max(1, min(3, word.count / 3 + 1))
    let distances = words.map { (distance: editDistance(Array(word), Array($0)), word: $0) }
    guard let best = distances.min(by: { ($0.distance, $0.word) < ($1.distance, $1.word) }), best.distance <= limit else {
        return nil
    }
    return best.word
}

/// Levenshtein's distance.
private func editDistance(_ a: [Character], _ b: [Character]) -> Int {
    var row = Array(0...b.count)
    for i in a.indices {
        var diagonal = row[0]
        row[0] = i + 1
        for j in b.indices {
            let changed = diagonal + (a[i] == b[j] ? 0 : 1)
            diagonal = row[j + 1]
            row[j + 1] = min(changed, row[j] + 1, diagonal + 1)
        }
    }
    return row[b.count]
}
