// The files of a directory, whatever their names are made of.

import FlowArchive
import Glibc

/// Names of the `.mflow` files, encrypted or not, in a directory and in those below it, from there, in their order.
func flowFiles(in directory: String) -> [String] { files(in: directory, endings: [".mflow", ".mflow.age"]) }

/// Names of the files with one of these endings, in a directory and in those below it, from there, in their order. Links to directories are
/// not followed.
func files(in directory: String, endings: [String]) -> [String] {
    var found: [String] = []
    var waiting = [""]
    while let below = waiting.popLast() {
        for name in entries(of: below.isEmpty ? directory : directory + "/" + below) {
            let path = below.isEmpty ? name : below + "/" + name
            if isDirectoryItself(directory + "/" + path) {
                waiting.append(path)
            } else if endings.contains(where: { name.hasSuffix($0) }) {
                found.append(path)
            }
        }
    }
    return found.sortedAsRecorded()
}

/// The names in a directory, in no order; none if it cannot be read.
private func entries(of directory: String) -> [String] {
    guard let stream = unsafe FileName.withCString(directory, { unsafe opendir($0) }) else { return [] }
    defer { unsafe closedir(stream) }
    var names: [String] = []
    while let entry = unsafe readdir(stream) {
        let name = unsafe name(of: entry)
        if name != ".", name != ".." { names.append(name) }
    }
    return names
}

/// A flow file among those of its directory, in their order.
func recordedFiles(around path: String, meter: ReadingMeter) -> RecordedFiles {
    let slash = path.lastIndex(of: "/")
    let directory = slash.map { String(path[...$0]) } ?? ""
    let name = slash.map { String(path[path.index(after: $0)...]) } ?? path
    let names = entries(of: directory.isEmpty ? "." : directory).filter { $0.hasSuffix(".mflow") }.sortedAsRecorded()
    guard let index = names.firstIndex(of: name) else { return RecordedFiles([path], reading: 0, meter: meter) }
    return RecordedFiles(names.map { directory + $0 }, reading: index, meter: meter)
}

/// The files with names that strftime(3) can make of a pattern, in their order; none if the pattern itself is a name, or has no conversion.
func rotatedFiles(_ pattern: String) -> [String] {
    var status = stat()
    guard pattern.contains("%"), unsafe FileName.withCString(pattern, { unsafe stat($0, &status) }) != 0 else { return [] }
    var wildcards = ""
    var rest = pattern[...]
    while let character = rest.popFirst() {
        switch character {
        case "%":
            // Flags and a width may precede the letter.
            while let flag = rest.first, "_-0^#+EO".contains(flag) || flag.isNumber { rest.removeFirst() }
            wildcards += rest.popFirst() == "%" ? "%" : "*"
        case "*", "?", "[", "\\": wildcards += "\\\(character)"
        default: wildcards.append(character)
        }
    }
    return FileName.matching(wildcards).sortedAsRecorded()
}

extension [String] {
    /// Sorted by names without their extensions: `a.mflow` is recorded before `a-00001.mflow`.
    fileprivate func sortedAsRecorded() -> [String] {
        func stem(_ path: String) -> Substring {
            for ending in [".mflow.age", ".mflow"] where path.hasSuffix(ending) { return path.dropLast(ending.count) }
            return path[...]
        }
        return map { ($0, stem($0)) }.sorted { ($0.1, $0.0) < ($1.1, $1.0) }.map(\.0)
    }
}

/// Paths with each file before those that a recorder begins after it: `a.mflow` before `a-00001.mflow`, where a shell has it after them.
func inRecordedOrder(_ paths: [FilePath]) -> [FilePath] {
    /// The name from which a recorder made a numbered one; nil in other names.
    func base(_ path: String) -> String? {
        guard let dash = path.lastIndex(of: "-") else { return nil }
        let digits = path[path.index(after: dash)...].prefix { $0.isASCII && $0.isNumber }
        guard digits.count >= 5, digits.endIndex == path.endIndex || path[digits.endIndex] == "." else { return nil }
        return String(path[..<dash] + path[digits.endIndex...])
    }
    var firstNumbered: [String: Int] = [:]
    for (index, path) in paths.enumerated() {
        if let base = base(path.path), firstNumbered[base] == nil { firstNumbered[base] = index }
    }
    var moved: [Int: Int] = [:]
    for (index, path) in paths.enumerated() {
        if let first = firstNumbered[path.path], first < index { moved[first] = index }
    }
    guard !moved.isEmpty else { return paths }
    let late = Set(moved.values)
    return paths.indices.filter { !late.contains($0) }.flatMap { index in
        (moved[index].map { [paths[$0]] } ?? []) + [paths[index]]
    }
}

private func name(of entry: UnsafeMutablePointer<dirent>) -> String {
    unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in unsafe FileName.text(bytes.prefix { $0 != 0 }) }
}

private func isDirectoryItself(_ path: String) -> Bool {
    var status = stat()
    return unsafe FileName.withCString(path) { unsafe lstat($0, &status) } == 0 && status.st_mode & S_IFMT == S_IFDIR
}
