// What a view answers to each request. docs/viewing.md describes the calls. Everything is read: no call changes a recording, and no path or
// command comes from a request. Flows are sent again only to the target that the user has named.

import FlowFilter
import FlowModel
import FlowView
import HTTPSemantics
import JSONQuery
import NIOCore
import NIOHTTP1
import Synchronization

/// The flows of a view and how they are shown.
package struct ViewOptions: Sendable {
    /// The filter language: the time, named expressions, types.
    package var environment: FilterEnvironment
    /// Begins each list; nil shows all flows.
    package var filter: String?
    /// Files are followed as they grow.
    package var isFollowing = true
    package var version: String
    /// Sends flows again; nil: flows are only shown.
    package var replayer: FlowReplayer?
    /// The configuration directory, which has the key of the hashes of redaction.
    package var configuration: String

    package init(environment: FilterEnvironment, version: String, configuration: String) {
        self.environment = environment
        self.version = version
        self.configuration = configuration
    }
}

/// Answers requests. Used by many threads.
final class ViewAPI: Sendable {
    let index: FlowIndex
    let options: ViewOptions
    let lists: OpenLists
    let contents = RenderedContents()
    let messageMarks = MessageMarks()

    init(_ index: FlowIndex, _ options: ViewOptions) {
        self.index = index
        self.options = options
        lists = OpenLists(index)
    }

    /// The response to a request that the guard has let through. May wait for files.
    func response(to head: HTTPRequestHead, _ body: ByteBuffer) -> ViewResponse {
        do throws(ViewError) {
            return try answer(head, body)
        } catch {
            return Self.response(to: error)
        }
    }

    static func response(to error: ViewError) -> ViewResponse {
        var json = JSONText()
        json.object { json in
            json.member("error", error.message)
            if let offset = error.offset { json.member("at", offset) }
        }
        return ViewResponse(error.status, .json, json.bytes)
    }

    private func answer(_ head: HTTPRequestHead, _ body: ByteBuffer) throws(ViewError) -> ViewResponse {
        let query = ViewQuery(head.uri)
        guard query.path.count >= 3, query.path[0] == "api", query.path[1] == "1" else { throw .notFound }
        let rest = Array(query.path.dropFirst(3))
        switch (head.method, query.path[2], rest.count) {
        case (.GET, "status", 0): return status()
        case (.GET, "language", 0): return language()
        case (.GET, "named-views", 0):
            var json = JSONText()
            namedViews(&json)
            return ViewResponse(.json, json)
        case (.POST, "views", 0): return try open(body)
        case (.GET, "views", 2): return try list(rest[0], rest[1], query)
        case (.POST, "flows", 2) where rest[1] == "replay": return try replay(rest[0], body)
        case (.GET, "flows", 1...): return try flow(rest[0], Array(rest.dropFirst()), query)
        default: throw .notFound
        }
    }

    // MARK: Views

    /// `{"filter": "~c 500", "sort": ["started", "desc"], "base": "v2", "replaces": "v3"}`
    private func open(_ body: ByteBuffer) throws(ViewError) -> ViewResponse {
        guard let asked = JSONTree(parsing: body) else { throw ViewError(.badRequest, "the body is not JSON") }
        let expression = asked["filter"]?.string?.text ?? ""
        var base: FlowList?
        if let name = asked["base"]?.string?.text {
            guard let found = lists.list(name) else { throw .closed }
            base = found
        }
        var filter: FlowFilter?
        do throws(FilterSyntaxError) {
            for text in [base == nil ? options.filter ?? "" : "", expression] where text.contains(where: { !$0.isWhitespace }) {
                var environment = options.environment
                environment.now = Timestamp.now
                let parsed = try FlowFilter(text, environment: environment)
                filter = filter?.and(parsed) ?? parsed
            }
        } catch {
            throw ViewError(.unprocessableEntity, error.message, at: error.offset)
        }
        var order: FlowOrder?
        if let sort = asked["sort"]?.elements, let name = sort.first?.string?.text {
            guard let key = FlowOrder.Key(rawValue: name) else {
                throw ViewError(.unprocessableEntity, "a list cannot be sorted by '\(name)'")
            }
            order = FlowOrder(key, isDescending: sort.dropFirst().first?.string?.text == "desc")
        }
        if let replaced = asked["replaces"]?.string?.text { lists.close(replaced) }
        let (name, list) = lists.open(filter, order, within: base)
        var json = JSONText()
        json.object { json in
            json.member("view", name)
            json.member("filter", list.filter?.canonical ?? "")
            json.counts(list.status)
        }
        return ViewResponse(.created, .json, json.bytes)
    }

    private func list(_ name: String, _ what: String, _ query: ViewQuery) throws(ViewError) -> ViewResponse {
        guard let list = lists.list(name) else { throw .closed }
        switch what {
        case "rows": return try rows(of: list, query)
        case "timeline": return try timeline(of: list, query)
        case "groups": return try groups(of: list, query)
        case "position":
            let ordinal = try query.number("n", 0...Int(UInt32.max), otherwise: 0)
            var json = JSONText()
            json.object { json in if let position = list.position(of: ordinal) { json.member("position", position) } }
            return ViewResponse(.json, json)
        case "export": return try export(list, query)
        case "loss": return try loss(list, query)
        default: throw .notFound
        }
    }

    // MARK: Facts

    private func status() -> ViewResponse {
        var json = JSONText()
        json.object { json in
            json.member("version", options.version)
            json.member("flows", index.count)
            json.member("following", options.isFollowing)
            json.key("replay")
            if let replayer = options.replayer { json.string(replayer.target) } else { json.null() }
            json.member("complete", index.isComplete)
            if let filter = options.filter { json.member("filter", filter) }
            json.key("files")
            json.array(index.sources) { json, source in
                json.object { json in
                    json.member("path", source.name)
                    json.member("read", Int(clamping: source.status.offset))
                    if let size = source.status.size { json.member("bytes", Int(clamping: size)) }
                    json.member("sealed", source.status.isSealed)
                    json.member("growing", source.status.isGrowing)
                    if source.status.damages > 0 { json.member("damages", source.status.damages) }
                    if !source.status.damage.isEmpty {
                        json.key("damage")
                        json.array(source.status.damage) { $0.string($1) }
                    }
                    if let failure = source.status.failure { json.member("failure", failure) }
                }
            }
        }
        return ViewResponse(.json, json)
    }

    /// The expressions that the user's configuration names.
    private func namedViews(_ json: inout JSONText) {
        json.array(options.environment.views.sorted { $0.key < $1.key }) { json, view in
            json.object { json in
                json.member("name", view.key)
                json.member("filter", view.value)
            }
        }
    }

    /// The operators of the filter language, the columns, and what lists can be sorted and grouped by.
    private func language() -> ViewResponse {
        var json = JSONText()
        json.object { json in
            json.key("operators")
            json.array(filterOperators) { json, row in
                json.object { json in
                    json.member("name", row.name)
                    json.member("form", row.form)
                    json.member("help", row.help)
                }
            }
            json.key("named")
            namedViews(&json)
            json.key("columns")
            json.array(RowColumns.names) { $0.string($1) }
            json.key("sortable")
            json.array(FlowOrder.Key.allCases) { $0.string($1.rawValue) }
            json.key("groups")
            json.array(GroupKey.allCases) { $0.string($1.rawValue) }
            json.key("exports")
            formats(&json)
        }
        return ViewResponse(.json, json)
    }
}

extension ViewError {
    static var notFound: ViewError { ViewError(.notFound, "there is nothing here") }
    static var closed: ViewError { ViewError(.gone, "this view is no longer open") }
}

extension ViewResponse {
    init(_ kind: Kind, _ json: JSONText) { self.init(.ok, kind, json.bytes) }
}
