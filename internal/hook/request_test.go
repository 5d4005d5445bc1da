package hook

import "testing"

func TestSubPathAndTarget(t *testing.T) {
	for _, test := range []struct {
		path, query   string
		bare          bool
		sub, wantBack string
	}{
		{"/in/orders", "", false, "", "/in/orders"},
		{"/in/orders", "", true, "", "/in/orders?"},
		{"/in/orders/", "a=%zz&b", false, "/", "/in/orders/?a=%zz&b"},
		{"/in/orders//a/../%2F", "", false, "//a/../%2F", "/in/orders//a/../%2F"},
		{"/in/orders/a?b", "", false, "/a?b", "/in/orders/a?b"}, // cannot come from a request line
		{"/in/", "", false, "", "/in/"},
		{"/in//a", "", false, "/a", "/in//a"},
		{"", "", false, "", ""},
	} {
		s := Summary{Path: test.path, Query: test.query, BareQuery: test.bare}
		if got := s.SubPath(); got != test.sub {
			t.Errorf("sub path of %q: %q, want %q", test.path, got, test.sub)
		}
		if got := s.Target(); got != test.wantBack {
			t.Errorf("target of %q, %q, %t: %q, want %q", test.path, test.query, test.bare, got, test.wantBack)
		}
	}
}

func TestFraming(t *testing.T) {
	chunked, length := Summary{Chunked: true}, Summary{}
	if chunked.Framing() != "chunked" || length.Framing() != "length" {
		t.Errorf("got %q and %q", chunked.Framing(), length.Framing())
	}
}

func TestHeader(t *testing.T) {
	r := Request{Headers: []Header{{"Host", "a"}, {"X-A", "1"}, {"X-A", "2"}}}
	if r.Header("X-A") != "1" || r.Header("X-B") != "" {
		t.Errorf("got %q and %q", r.Header("X-A"), r.Header("X-B"))
	}
}
