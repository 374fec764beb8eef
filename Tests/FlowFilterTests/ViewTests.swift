import FlowFilter
import FlowModel
import TestSupport
import Testing

@Suite("Views and names that do not exist")
struct ViewTests {
    private static let environment = FilterEnvironment(views: [
        "slow": "~duration >2s", "errors": "~c 5xx | ~e", "bad": "~view slow & ~view errors", "self": "~e | ~view other",
        "other": "!~view self", "broken": "~c 2x", "nested": "~view broken",
    ])

    @Test(
        "A view stands for its expression",
        arguments: [
            ("~view slow", "~duration >2s"),
            ("!~view errors", "!((~c 5xx | ~e))"),
            ("~m GET ~view errors", "((~c 5xx | ~e) & ~m \"GET\")"),
            ("~view 'bad'", "(~duration >2s & (~c 5xx | ~e))"),
        ])
    func views(expression: String, canonical: String) throws {
        #expect(try FlowFilter(expression, environment: Self.environment).canonical == canonical)
    }

    @Test(
        "A view that does not exist, uses itself or is not valid is an error",
        arguments: [
            ("~view", 0, "~view needs an argument after it"),
            ("~e ~view slwo", 9, "there is no view 'slwo'; did you mean 'slow'?"),
            ("~view xyz123", 6, "there is no view 'xyz123'; views are named in config.yaml, below 'views:'"),
            ("~view self", 7, "in the view 'other': a view cannot use itself: self, which uses other, which uses self"),
            ("~e ~view broken", 3, "in the view 'broken': '2x' is not a status code; write 404, 4xx, 200-299, >=500 or <300"),
            ("~view nested", 3, "in the view 'broken': '2x' is not a status code; write 404, 4xx, 200-299, >=500 or <300"),
        ])
    func errors(expression: String, offset: Int, message: String) {
        let error = #expect(throws: FilterSyntaxError.self) { _ = try FlowFilter(expression, environment: Self.environment) }
        #expect(error?.message == message)
        #expect(error?.offset == offset)
        #expect(
            error?.expression
                == (message.hasPrefix("in the view")
                    ? Self.environment.views[message.contains("'other'") ? "other" : "broken"] : expression))
    }

    @Test("Views that grow without bound are an error")
    func growth() {
        var environment = FilterEnvironment(views: ["v0": "~e ~e"])
        for level in 1...60 { environment.views["v\(level)"] = "~view v\(level - 1) | ~view v\(level - 1)" }
        let error = #expect(throws: FilterSyntaxError.self) { _ = try FlowFilter("~view v60", environment: environment) }
        #expect(error?.message.hasSuffix("the expression has more than 100000 terms") == true)
        for level in 1...200 { environment.views["n\(level)"] = level == 1 ? "~e" : "!~view n\(level - 1)" }
        let deep = #expect(throws: FilterSyntaxError.self) { _ = try FlowFilter("~view n200", environment: environment) }
        #expect(deep?.message.hasSuffix("the expression is nested too deeply; the limit is 100 levels") == true)
    }

    @Test(
        "An operator that does not exist is refused with the nearest name",
        arguments: [
            ("~websock", "~websocket"),
            ("~dur >1s", "~duration"),
            ("~durration >1s", "~duration"),
            ("~Duration >1s", "~duration"),
            ("~status 500", "~c CODE"),
            ("~statuss 500", "~c CODE"),
            ("~host x", "~d REGEX"),
            ("~headers x", "~h REGEX"),
            ("~messagse 3", "~messages"),
            ("~comm x", "~comment"),
            ("~M GET", "~m REGEX"),
            ("~qurey[a]", "~query[NAME]"),
            ("~tags[a]", "~tag[NAME]"),
        ])
    func nearestName(expression: String, suggestion: String) {
        let error = #expect(throws: FilterSyntaxError.self) { _ = try FlowFilter("~e & " + expression) }
        #expect(error?.message.contains("; did you mean \(suggestion)") == true, "\(error?.message ?? "")")
        #expect(error?.offset == 5)
    }

    @Test("An operator that is like no other is refused without a guess", arguments: ["~zz", "~x", "~", "~xylophone", "~_a"])
    func noName(expression: String) {
        let error = #expect(throws: FilterSyntaxError.self) { _ = try FlowFilter(expression) }
        #expect(error?.message.hasSuffix("; --help-filter lists them") == true, "\(error?.message ?? "")")
    }
}
