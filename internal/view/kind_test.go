package view

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

func TestKinds(t *testing.T) {
	for _, tc := range []struct {
		name, contentType, body, coding string
		want                            string
	}{
		{"no body", "application/json", "", "", "[]"},
		{"json", "Application/JSON; charset=utf-8", `{"a":1}`, "", "[json text hex]"},
		{"json suffix", "application/vnd.api+json", `1`, "", "[json text hex]"},
		{"json lines", "application/x-ndjson", "1\n2\n", "", "[json text hex]"},
		{"json without a type", "", " \n[1]", "", "[json text hex]"},
		{"json as form", "application/x-www-form-urlencoded", `{"a":1}`, "", "[json text hex]"},
		{"json as text", "text/plain", "\ufeff{", "", "[json text hex]"},
		{"broken json", "application/json", "<html>", "", "[json text hex]"},
		{"form", "application/x-www-form-urlencoded; charset=UTF-8", "a=1", "", "[form text hex]"},
		{"multipart", `multipart/form-data; boundary="x"`, "--x\r\n", "", "[multipart text hex]"},
		{"multipart with a file", `multipart/form-data; boundary="x"`, "--x\r\n\r\n\x00", "", "[multipart hex text]"},
		{"xml", "application/xml", "<a/>", "", "[text hex]"},
		{"html", "text/html", "<script>", "", "[text hex]"},
		{"svg", "image/svg+xml", "<svg onload=x>", "", "[text hex]"},
		{"no type", "", "hello\x1b[2J", "", "[text hex]"},
		{"latin-1 text", "text/plain; charset=latin-1", "caf\xe9", "", "[text hex]"},
		{"latin-1 without a type", "", "caf\xe9", "", "[hex text]"},
		{"utf-16", "text/html", "<\x00h\x00", "", "[hex text]"},
		{"image", "image/png", "\x89PNG", "", "[hex text]"},
		{"protobuf", "application/x-protobuf", "\x08\x96\x01", "", "[hex text]"},
		{"control characters", "", "a\x01b", "", "[hex text]"},
		{"gzip", "application/json", "\x1f\x8b\x08\x00", "gzip", "[hex text]"},
		{"brotli", "text/plain", "\x8b\x01\x80", "br", "[hex text]"},
		{"identity", "application/json", "{}", "identity", "[json text hex]"},
		{"said to be gzip", "application/json", "{}", "gzip", "[json text hex]"},
		{"character cut by the sample", "", strings.Repeat("x", 4<<10-1) + "é", "", "[text hex]"},
		{"endless type", strings.Repeat("a", 8192), "x", "", "[text hex]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := &hook.Request{Summary: hook.Summary{ContentType: tc.contentType}, Body: []byte(tc.body)}
			if tc.coding != "" {
				r.Headers = []hook.Header{{Name: "Content-Encoding", Value: tc.coding}}
			}
			if got := fmt.Sprint(Kinds(r)); got != tc.want {
				t.Errorf("Kinds = %s, want %s", got, tc.want)
			}
		})
	}
}
