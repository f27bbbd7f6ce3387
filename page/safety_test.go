package page

import (
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// loads are the attributes by which a page fetches, sends or runs something.
var loads = map[string]bool{
	"src": true, "srcset": true, "href": true, "xlink:href": true, "data": true, "poster": true, "background": true, "action": true,
	"formaction": true, "ping": true, "manifest": true, "codebase": true, "archive": true, "cite": true, "longdesc": true, "srcdoc": true,
}

// expectNoRequest checks every element of a page.
func expectNoRequest(t *testing.T, tree *html.Node) {
	t.Helper()
	for _, node := range elements(tree, "") {
		switch node.Data {
		case "script", "link", "iframe", "object", "embed", "base", "form", "audio", "video", "source", "foreignobject", "use":
			t.Errorf("the page has an element %s", node.Data)
		}
		for _, a := range node.Attr {
			key := a.Key
			if a.Namespace != "" {
				key = a.Namespace + ":" + key
			}
			inside := strings.HasPrefix(a.Val, "data:image/png;base64,") || node.Data == "a" && strings.HasPrefix(a.Val, "#")
			if loads[key] && !inside {
				t.Errorf("%s has %s=%.80q", node.Data, key, a.Val)
			}
			if strings.HasPrefix(key, "on") || key == "http-equiv" && a.Val != "Content-Security-Policy" {
				t.Errorf("%s has %s=%q", node.Data, key, a.Val)
			}
			if key == "style" && strings.Contains(a.Val, "url(") {
				t.Errorf("%s has the style %q", node.Data, a.Val)
			}
		}
		if node.Data == "style" && regexp.MustCompile(`url\(|@import`).MatchString(node.FirstChild.Data) {
			t.Errorf("the style sheet loads something:\n%s", node.FirstChild.Data)
		}
	}
}

// Nothing is asked of anybody, and the page forbids it to itself.
func TestNoRequestLeavesThePage(t *testing.T) {
	_, _, tree := written(t, labelledRun(t, "ant", "bee", "cat"))
	expectNoRequest(t, tree)
	policy := ""
	for _, meta := range elements(tree, "meta") {
		if attribute(meta, "http-equiv") == "Content-Security-Policy" {
			policy = attribute(meta, "content")
		}
	}
	const want = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
	if policy != want {
		t.Errorf("found the policy %q, expected %q", policy, want)
	}
}

// Names are whatever their owners called them.
func TestNamesAreEscaped(t *testing.T) {
	const script, quotes = `<script>alert(1)</script>`, `"><img src=x onerror=alert(2)> '`
	r := labelledRun(t, script, quotes, "</svg></style><b>bold", "plain\nname")
	r.Title, r.Validated, r.Config = script, script, "data = '"+script+"'\n</pre>"+script
	r.Report.Protocol += "; " + script
	r.Report.Stopped, r.Report.MadeWith.Processor = script, script
	for i := range r.Evidence.Verified.Images.Sources {
		r.Evidence.Verified.Images.Sources[i] = quotes
	}
	_, text, tree := written(t, r)
	expectNoRequest(t, tree)
	if strings.Contains(strings.ToLower(text), "<script") {
		t.Error("the page has a script")
	}
	if found := elements(tree, "img"); len(found) == 0 || attribute(found[0], "onerror") != "" {
		t.Errorf("found %d images, and the first has %v", len(found), found[0].Attr)
	}
	for _, node := range elements(tree, "b") {
		if words(node) == "bold" {
			t.Error("the name of a class became an element")
		}
	}
	shown := 0 // within a chart
	for _, node := range elements(tree, "text") {
		if words(node) == script {
			shown++
		}
	}
	if shown != 2 {
		t.Errorf("the class is named in %d legends, expected 2", shown)
	}
	expectWords(t, section(t, tree, "settings"), "data = '"+script+"'", "</pre>"+script)
	expectWords(t, section(t, tree, "hardest"), script)
}
