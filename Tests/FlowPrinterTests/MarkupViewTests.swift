// HTML, XML, CSS and JavaScript laid out: only white space changes.

import HTTPSemantics
import NIOCore
import TestSupport
import Testing

@testable import FlowPrinter

@Suite("Markup and code")
struct MarkupViewTests {
    static let html: [(String, String)] = [
        ("plain", "plain\n"), ("<>", "<>\n"), ("<p", "<p\n"), ("<html></html>", "<html></html>\n"),
        (
            "<!doctype html><html><head><title>A</title></head><body><p>one<p>two <b>bold</b>\nnext<br>line</body></html>",
            """
            <!doctype html>
            <html>
              <head>
                <title>A</title>
              </head>
              <body>
                <p>one
                <p>
                  two <b>bold</b>
                  next<br>line
              </body>
            </html>

            """
        ),
        (
            "<ul><li>a<li>b<ul><li>c</ul><li>d</ul>",
            "<ul>\n  <li>a\n  <li>\n    b\n    <ul>\n      <li>c\n    </ul>\n  <li>d\n</ul>\n"
        ),
        ("<table><tr><td>1<td>2<tr><td>3</table>", "<table>\n  <tr>\n    <td>1\n    <td>2\n  <tr>\n    <td>3\n</table>\n"),
        ("<div data-a='1>2'><p>x</p></div></none>", "<div data-a='1>2'>\n  <p>x</p>\n</div>\n</none>\n"),
        ("<div><pre>\n a  b\n</pre><p>x</p></div>", "<div>\n  <pre>\n\n a  b\n  </pre>\n  <p>x</p>\n</div>\n"),
        ("<div><!-- a\n  b --><p>x</p></div>", "<div>\n  <!-- a\n  b -->\n  <p>x</p>\n</div>\n"),
        ("<div\n  id=a\n  class=b><p>x</p></div>", "<div\n    id=a\n    class=b>\n  <p>x</p>\n</div>\n"),
        (
            "<div><script>if (a<b) { '</p>' }</script><p>x</p></div>",
            "<div>\n  <script>if (a<b) { '</p>' }</script>\n  <p>x</p>\n</div>\n"
        ),
        ("<div><b>unclosed<p>x</p></div>", "<div>\n  <b>\n    unclosed\n    <p>x</p>\n</div>\n"),
    ]

    @Test("Elements of HTML that hold others are on lines of their own", arguments: html.indices)
    func layOutHTML(_ index: Int) {
        #expect(shown(Self.html[index].0, "text/html") == Self.html[index].1)
    }

    static let xml: [(String, String)] = [
        (
            #"<?xml version="1.0"?><a><b>1</b><c><d e="f"/><g>text <i>mixed</i> tail</g></c><![CDATA[ <raw> ]]><!-- c --></a>"#,
            """
            <?xml version="1.0"?>
            <a>
              <b>1</b>
              <c>
                <d e="f"/>
                <g>text <i>mixed</i> tail</g>
              </c>
              <![CDATA[ <raw> ]]>
              <!-- c -->
            </a>

            """
        ),
        ("<p>\n  text <b>x</b>\n  more\n</p>", "<p>\n  text <b>x</b>\n  more\n</p>\n"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><a/>", "<!DOCTYPE a [<!ENTITY b 'c'>]>\n<a/>\n"),
        ("<a><b></a>", "<a>\n  <b>\n</a>\n"), ("<a><![CDATA[", "<a><![CDATA[\n"), ("<a><!-- x", "<a><!-- x\n"),
    ]

    @Test("Elements of XML with text stay together", arguments: xml.indices)
    func layOutXML(_ index: Int) {
        #expect(shown(Self.xml[index].0, "application/xml") == Self.xml[index].1)
    }

    @Test("Markup is recognised without a media type")
    func looks() {
        #expect(
            shown("\u{FEFF} <!DOCTYPE HTML><html><head></head></html>") == "<!DOCTYPE HTML>\n<html>\n  <head></head>\n</html>\n")
        #expect(shown("<?xml version='1.0'?><a><b/></a>") == "<?xml version='1.0'?>\n<a>\n  <b/>\n</a>\n")
        #expect(shown("<b>x</b><p>y</p>") == "<b>x</b><p>y</p>\n")
    }

    static let styles: [(String, String)] = [
        (
            #"@import "x.css";@media print{body{font-size:10pt;background:url(data:image/png;base64,AA;B==)}h1,h2{color:red}}"#,
            """
            @import "x.css";
            @media print {
              body {
                font-size: 10pt;
                background: url(data:image/png;base64,AA;B==)
              }
              h1,h2 {
                color: red
              }
            }

            """
        ),
        (
            #"a[href="{}"]:hover::after{content:"\"}"}/* ; */b{}"#,
            "a[href=\"{}\"]:hover::after {\n  content: \"\\\"}\"\n}\n/* ; */b {}\n"
        ),
        ("a{b:(c;d}", "a {\n  b: (c;\n  d\n}\n"), ("}a{", "}\na {\n"), ("a{b:'c", "a {\n  b: 'c\n"), ("/* c", "/* c\n"),
    ]

    @Test("Declarations of CSS are on lines of their own", arguments: styles.indices)
    func layOutStyle(_ index: Int) {
        #expect(shown(Self.styles[index].0, "text/css") == Self.styles[index].1)
    }

    static let scripts: [(String, String)] = [
        ("function(a){[1, 2, 3]}", "function(a) {\n  [1, 2, 3]\n}\n"),
        (
            #"var n=/[/"]+/g,r=a/b/c;for(var i=0;i<10;i++){t={a:1,b:[1,2],c:`x${y?`in${"}"}`:0}{`}}if(r)return;else{x()}try{y()}catch(e){}"#,
            """
            var n=/[/"]+/g,r=a/b/c;
            for(var i=0;i<10;i++) {
              t={
                a:1,
                b:[1,2],
                c:`x${y?`in${"}"}`:0}{`
              }
            }
            if(r)return;
            else {
              x()
            }
            try {
              y()
            } catch(e) {}

            """
        ),
        ("a(function(){b();c()});// d;e", "a(function() {\n  b();\n  c()\n});// d;e\n"),
        ("x=()=>{/* {; */return'}'}", "x=()=>{\n  /* {; */return'}'\n}\n"),
        ("return a\n/b/g", "return a\n/b/g\n"),
    ]

    @Test("Statements of JavaScript are on lines of their own; strings, templates and expressions stay", arguments: scripts.indices)
    func layOutScript(_ index: Int) {
        #expect(shown(Self.scripts[index].0, "text/javascript") == Self.scripts[index].1)
    }

    @Test(
        "Code that is not certain, or is laid out already, stays as it is",
        arguments: ["a{b;c", "a='x;y", "`${a;b", "/* a;b", "a;)b", "if (a)\n{\n    b; c;\n}\n", "/a;b"])
    func unchanged(_ code: String) {
        #expect(shown(code, "text/javascript") == code + (code.hasSuffix("\n") ? "" : "\n"))
    }

    @Test("No text is lost in mutilated markup and code, and none takes long")
    func mutilated() {
        var random = SeededGenerator(seed: 3)
        let seeds = (Self.html + Self.xml + Self.styles + Self.scripts).map { Array($0.0.utf8) }
        let marks = [
            "<", ">", "</", "<!--", "\"", "'", "`", "${", "{", "}", "(", "/", "*/", "\n", "\\", "url(", "<script>", "<pre>",
        ]
        func text(_ bytes: some Sequence<UInt8>) -> [UInt8] { bytes.filter { !$0.isWhitespaceOrLineEnd } }
        for number in 0..<150 {
            var bytes = seeds[number % seeds.count]
            for _ in 0..<Int.random(in: 0..<5, using: &random) where !bytes.isEmpty {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                if Bool.random(using: &random) {
                    bytes.insert(contentsOf: Array(marks.randomElement(using: &random)!.utf8), at: place)
                } else {
                    bytes.removeSubrange(place..<min(bytes.count, place + 7))
                }
            }
            for type in ["text/html", "text/xml", "text/css", "text/javascript"] {
                #expect(text(shown(bytes, type).utf8) == text(bytes))
            }
        }
    }

    @Test(
        "Content without the ends of its tags is read once",
        arguments: ["<a b=\"", "<x ", "<![>", "</b><i>", "<a>", "<script>", "<li><p>x"])
    func endless(_ part: String) {
        let content = String(repeating: part, count: 4000)
        let lines = shown(content, "text/html", limits: ContentLimits(lines: 1)).split(separator: "\n")
        #expect(lines.count == 1 || lines.count == 2 && lines[1].hasPrefix("(cut: "))
    }
}
