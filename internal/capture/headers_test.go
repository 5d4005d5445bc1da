package capture

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

var ours = []string{"session", "__Host-session"}

func TestCutCookies(t *testing.T) {
	for _, test := range []struct {
		about      string
		sent, want []string
		cut        bool
	}{
		{"none", nil, nil, false},
		{"others", []string{"a=1; b=2"}, []string{"a=1; b=2"}, false},
		{"only ours", []string{"session=x"}, nil, true},
		{"only ours, twice", []string{"session=x; __Host-session=y"}, nil, true},
		{"first", []string{"session=x; a=1; b=2"}, []string{"a=1; b=2"}, true},
		{"in the middle", []string{"a=1; session=x; b=2"}, []string{"a=1; b=2"}, true},
		{"last", []string{"a=1; b=2; session=x"}, []string{"a=1; b=2"}, true},
		{"the spacing of others stays", []string{"a=1;b=2 ;  session=x;\tc = 3 ;d"}, []string{"a=1;b=2 ;\tc = 3 ;d"}, true},
		{"spaces around ours", []string{"a=1;  session  =x"}, []string{"a=1"}, true},
		{"ours without a value", []string{"a=1; session"}, []string{"a=1"}, true},
		{"ours with an empty value", []string{"session=; a=1"}, []string{"a=1"}, true},
		{"ours with an odd value", []string{`session="a=b, c"; a=1`}, []string{"a=1"}, true},
		{"several times", []string{"session=x; session=y; a=1; session=z"}, []string{"a=1"}, true},
		{"two lines, one of them ours", []string{"session=x", "a=1"}, []string{"a=1"}, true},
		{"two lines, both changed", []string{"a=1; session=x", "session=y; b=2"}, []string{"a=1", "b=2"}, true},
		{"lines of others stay", []string{"a=1;", "", "session=x", " ; "}, []string{"a=1;", "", " ; "}, true},
		{"what is left of ours is only separators", []string{"session=x; "}, nil, true},
		{"similar names stay", []string{"sessions=1; Session=2; xsession=3; session_=4; host-session=5"}, []string{
			"sessions=1; Session=2; xsession=3; session_=4; host-session=5",
		}, false},
		{"ours as a value stays", []string{"a=session; b=session=x"}, []string{"a=session; b=session=x"}, false},
		{"bytes", []string{"a=\xff; session=\x80; \xfe=b"}, []string{"a=\xff; \xfe=b"}, true},
		{"empty", []string{""}, []string{""}, false},
	} {
		header := http.Header{"X-A": {"session=x"}}
		if test.sent != nil {
			header["Cookie"] = slices.Clone(test.sent)
		}
		wantEqual(t, test.about+": cut", cutCookies(header, ours), test.cut)
		wantEqual(t, test.about, header["Cookie"], test.want)
		_, there := header["Cookie"]
		wantEqual(t, test.about+": the header is there", there, test.want != nil)
		wantEqual(t, "another header", header["X-A"], []string{"session=x"})
	}
}

// TestCookiesOverTheWire: the stored request has none of ours, and says so.
func TestCookiesOverTheWire(t *testing.T) {
	s := start(t, nil)
	s.get(t, "/in/orders", "cookie: a=1; session=secret; b=2\nCOOKIE: __Host-session=secret\n")
	got := s.last(t)
	wantEqual(t, "stored", got.Headers, []hook.Header{{Name: "Host", Value: "cap"}, {Name: "Cookie", Value: "a=1; b=2"}})
	wantEqual(t, "it says so", got.CookieRemoved, true)
	s.get(t, "/in/orders", "Cookie: a=1\n")
	wantEqual(t, "without one of ours", s.last(t).CookieRemoved, false)
}

// FuzzCutCookie: none of ours is left, the others are there in their order and untouched, and cutting again changes
// nothing.
func FuzzCutCookie(f *testing.F) {
	f.Add("a=1; session=x; b=2")
	f.Add("session=x;__Host-session")
	f.Add(" ;; session ;=")
	f.Fuzz(func(t *testing.T, value string) {
		rest, cut := cutCookie(value, ours)
		isOurs := func(pair string) bool {
			name, _, _ := strings.Cut(pair, "=")
			return slices.Contains(ours, strings.TrimSpace(name))
		}
		pairs := strings.Split(value, ";")
		if cut != slices.ContainsFunc(pairs, isOurs) || !cut && rest != value {
			t.Fatalf("%q became %q, cut = %t", value, rest, cut)
		}
		if slices.ContainsFunc(strings.Split(rest, ";"), isOurs) {
			t.Fatalf("%q left one of ours: %q", value, rest)
		}
		want := strings.Join(slices.DeleteFunc(pairs, isOurs), ";")
		if cut && rest != want && rest != strings.TrimLeft(want, " ") {
			t.Fatalf("%q became %q", value, rest)
		}
		if again, more := cutCookie(rest, ours); more || again != rest {
			t.Fatalf("%q became %q and then %q", value, rest, again)
		}
	})
}

// FuzzTarget: no part of a target is lost, and a slug is one segment.
func FuzzTarget(f *testing.F) {
	f.Add("/in/orders/a?b=c")
	f.Add("/in/orders?")
	f.Add("/in//orders??#")
	f.Add("/in/")
	f.Add("*")
	f.Fuzz(func(t *testing.T, target string) {
		path, query, bare := splitTarget(target)
		s := hook.Summary{Path: path, Query: query, BareQuery: bare}
		if got := s.Target(); got != target || strings.Contains(path, "?") {
			t.Fatalf("%q became path %q, query %q, bare %t", target, path, query, bare)
		}
		slug := slugOf(path)
		if strings.Contains(slug, "/") {
			t.Fatalf("the slug of %q is %q", path, slug)
		}
		if strings.HasPrefix(path, "/in/") && "/in/"+slug+s.SubPath() != path {
			t.Fatalf("%q is not made of slug %q and the rest %q", path, slug, s.SubPath())
		}
	})
}
