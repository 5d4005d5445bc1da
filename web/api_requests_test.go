package web

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

func requestPathOf(id hook.ID) string { return "/api/v1/requests/" + id.Text(hook.RequestPrefix) }

func deliveryPathOf(id hook.ID) string { return "/api/v1/deliveries/" + id.Text(hook.DeliveryPrefix) }

func requestsPathOf(id hook.ID) string {
	return captureURLsPath + "/" + id.Text(hook.CaptureURLPrefix) + "/requests"
}

func TestAPIRequest(t *testing.T) {
	s := newSite(t)
	u := s.user(false)
	text := s.token(u)
	captureURL := storetest.CaptureURLOf(t, s.store, u)
	at := time.Date(2026, 11, 23, 10, 21, 7, 482_911_999, time.FixedZone("", 3600))
	q := &hook.Request{
		Summary: hook.Summary{
			CaptureURLID: captureURL.ID, ReceivedAt: at, Method: "POST", Scheme: "https", Host: "hooks.example",
			Path: "/in/orders/paid//x/%2F", Query: "a=1&a=%zz", Proto: "HTTP/1.1", Chunked: true, RemoteAddr: "10.0.0.2:41634",
			ClientAddr: "198.51.100.7", TLS: "TLS 1.3", ContentType: "text/plain", BodySize: 5, ResponseStatus: 202,
		},
		Headers:  []hook.Header{{Name: "Host", Value: "hooks.example"}, {Name: "X-A", Value: "1"}, {Name: "X-A", Value: "\xe9\xff"}},
		Trailers: []hook.Header{{Name: "X-T", Value: "t"}},
		Body:     []byte("h\u00e9\x00<"),
	}
	if err := s.store.Capture(q); err != nil {
		t.Fatal(err)
	}
	a := s.api(text, "GET", requestPathOf(q.ID), "")
	wantStatus(t, "GET", a, http.StatusOK)
	item := func(name, value string, encoded any) map[string]any {
		return map[string]any{"name": name, "value": value, "value_base64": encoded}
	}
	want := map[string]any{
		"id": q.ID.Text(hook.RequestPrefix), "capture_url_id": captureURL.ID.Text(hook.CaptureURLPrefix),
		"received_at": "2026-11-23T09:21:07.482911Z", "method": "POST", "scheme": "https", "host": "hooks.example",
		"path": "/in/orders/paid//x/%2F", "path_base64": nil, "sub_path": "/paid//x/%2F", "query": "a=1&a=%zz", "query_base64": nil,
		"proto": "HTTP/1.1", "framing": "chunked", "remote_addr": "10.0.0.2:41634", "client_addr": "198.51.100.7", "tls": "TLS 1.3",
		"headers":  []any{item("Host", "hooks.example", nil), item("X-A", "1", nil), item("X-A", "\ufffd\ufffd", "6f8=")},
		"trailers": []any{item("X-T", "t", nil)}, "content_type": "text/plain", "body_size": json.Number("5"), "truncated": false,
		"body": "h\u00e9\x00<", "body_base64": nil, "response": map[string]any{"status": json.Number("202")}, "deliveries": []any{},
	}
	if diff := cmp.Diff(want, a.decode(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(a.body, s.api(text, "GET", requestsPathOf(captureURL.ID)+"/latest", "").body); diff != "" {
		t.Errorf("latest differs:\n%s", diff)
	}
	list := s.api(text, "GET", requestsPathOf(captureURL.ID), "").decode(t)
	for _, name := range []string{"headers", "trailers", "body", "body_base64", "deliveries"} {
		delete(want, name)
	}
	if diff := cmp.Diff(map[string]any{"items": []any{want}, "next": nil}, list); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
}

func TestAPIRequestThatIsNotText(t *testing.T) {
	s := newSite(t)
	u := s.user(false)
	text := s.token(u)
	q := storetest.Request(storetest.CaptureURLOf(t, s.store, u).ID, 0)
	q.Path, q.Query, q.ContentType, q.Body = "/in/orders/\xff\xfe", "q=\xe9", "text/\xff", []byte("\x00\xff")
	if err := s.store.Capture(q); err != nil {
		t.Fatal(err)
	}
	doc := s.api(text, "GET", requestPathOf(q.ID), "").decode(t)
	for name, want := range map[string]any{
		"path": "/in/orders/\ufffd\ufffd", "path_base64": base64.StdEncoding.EncodeToString([]byte(q.Path)),
		"sub_path": "/\ufffd\ufffd", "query": "q=\ufffd", "query_base64": "cT3p", "content_type": "text/\ufffd",
		"body": nil, "body_base64": "AP8=",
	} {
		if doc[name] != want {
			t.Errorf("%s is %q, want %q", name, doc[name], want)
		}
	}
}

func TestAPIEmptyBody(t *testing.T) {
	s := newSite(t)
	u := s.user(false)
	q := s.request(storetest.CaptureURLOf(t, s.store, u).ID, "")
	doc := s.api(s.token(u), "GET", requestPathOf(q.ID), "").decode(t)
	if doc["body"] != "" || doc["body_base64"] != nil || fmt.Sprint(doc["trailers"]) != "[]" || doc["tls"] != nil {
		t.Errorf("%v", doc)
	}
}

func TestAPIListRequests(t *testing.T) {
	s := newSite(t)
	u := s.user(false)
	text := s.token(u)
	captureURL := storetest.CaptureURLOf(t, s.store, u)
	path := requestsPathOf(captureURL.ID)
	if got := strings.TrimSpace(s.api(text, "GET", path, "").body); got != `{"items":[],"next":null}` {
		t.Errorf("an empty list: %s", got)
	}
	wantProblem(t, "latest of none", s.api(text, "GET", path+"/latest", ""), http.StatusNotFound, "")
	var oldestFirst []string
	for range 7 {
		oldestFirst = append(oldestFirst, s.request(captureURL.ID, "x").ID.Text(hook.RequestPrefix))
		s.request(storetest.CaptureURLOf(t, s.store, u).ID, "elsewhere")
	}
	newestFirst := slices.Clone(oldestFirst)
	slices.Reverse(newestFirst)
	if diff := cmp.Diff(newestFirst, s.pages(text, path, "limit=3", "cursor")); diff != "" {
		t.Errorf("newest first:\n%s", diff)
	}
	if diff := cmp.Diff(newestFirst, s.pages(text, path, "limit=7", "cursor")); diff != "" {
		t.Errorf("a page that is just full:\n%s", diff)
	}
	after, got := oldestFirst[1], []string(nil)
	for {
		doc := s.api(text, "GET", path+"?limit=2&after="+after, "").decode(t)
		for _, item := range doc["items"].([]any) {
			got = append(got, item.(map[string]any)["id"].(string))
		}
		next, more := doc["next"].(string)
		if !more {
			break
		}
		after = next
	}
	if diff := cmp.Diff(oldestFirst[2:], got); diff != "" {
		t.Errorf("after, oldest first:\n%s", diff)
	}
	// The place stays good when the request that it names is gone.
	gone, _ := hook.ParseID(hook.RequestPrefix, oldestFirst[4])
	if err := s.store.DeleteRequest(t.Context(), hook.System, gone, true); err != nil {
		t.Fatal(err)
	}
	if doc := s.api(text, "GET", path+"?after="+oldestFirst[4], "").decode(t); len(doc["items"].([]any)) != 2 {
		t.Errorf("after a deleted request: %v", doc)
	}
}

// The body comes as it was sent, and in a way that no browser makes anything of.
func TestDownload(t *testing.T) {
	s := newSite(t)
	u := s.user(false)
	text := s.token(u)
	captureURL := storetest.CaptureURLOf(t, s.store, u)
	for _, body := range []string{
		"", "plain", "<script>alert(1)</script>", "<svg onload=x>", "\xef\xbb\xbf<html>", "%PDF-1.7", "GIF89a<script>", "\x00\xff\r\n",
	} {
		for _, contentType := range []string{"text/html", "image/svg+xml", "application/pdf", "text/xml", "multipart/x-mixed-replace", ""} {
			q := storetest.Request(captureURL.ID, 0)
			q.ContentType, q.Body, q.BodySize = contentType, []byte(body), int64(len(body))
			if err := s.store.Capture(q); err != nil {
				t.Fatal(err)
			}
			a := s.api(text, "GET", requestPathOf(q.ID)+"/body", "", "Range", "bytes=0-,0-,"+strings.Repeat("0-,", 500)+"0-", "If-None-Match", strings.Repeat("x", 1000))
			wantStatus(t, contentType, a, http.StatusOK)
			if a.body != body {
				t.Errorf("%s: got %q, want %q", contentType, a.body, body)
			}
			for name, want := range map[string]string{
				"Content-Type": "application/octet-stream", "X-Content-Type-Options": "nosniff",
				"Content-Disposition":     `attachment; filename="request-` + q.ID.Text(hook.RequestPrefix) + `.bin"`,
				"Content-Security-Policy": "sandbox; default-src 'none'", "Cross-Origin-Resource-Policy": "same-origin",
				"Cache-Control": "no-store",
			} {
				if got := a.header.Get(name); got != want {
					t.Errorf("%s: %s is %q, want %q", contentType, name, got, want)
				}
			}
		}
	}
	q := storetest.Request(captureURL.ID, 0)
	q.Truncated, q.BodySize = true, 99<<20
	if err := s.store.Capture(q); err != nil {
		t.Fatal(err)
	}
	wantProblem(t, "a body that was not kept", s.api(text, "GET", requestPathOf(q.ID)+"/body", ""), http.StatusNotFound, "")
}

func TestAPIDeleteRequests(t *testing.T) {
	s := newSite(t)
	u := s.user(false)
	text := s.token(u)
	captureURL := storetest.CaptureURLOf(t, s.store, u)
	path := requestsPathOf(captureURL.ID)
	first, second := s.request(captureURL.ID, "1"), s.request(captureURL.ID, "2")
	wantStatus(t, "delete one", s.api(text, "DELETE", requestPathOf(first.ID), ""), http.StatusNoContent)
	for _, method := range []string{"GET", "DELETE"} {
		wantProblem(t, "it is gone", s.api(text, method, requestPathOf(first.ID), ""), http.StatusNotFound, "")
	}
	for _, query := range []string{"", "?all=false", "?all=", "?all=1", "?all=TRUE", "?all=true&all=true", "?q=x", "?Q=x&all=true", "?all=true&q=x"} {
		wantProblem(t, "DELETE "+query, s.api(text, "DELETE", path+query, ""), http.StatusBadRequest, "")
	}
	wantStatus(t, "the other one", s.api(text, "GET", requestPathOf(second.ID), ""), http.StatusOK)
	wantStatus(t, "delete all", s.api(text, "DELETE", path+"?all=true", ""), http.StatusNoContent)
	wantProblem(t, "the other one, deleted", s.api(text, "GET", requestPathOf(second.ID), ""), http.StatusNotFound, "")
	wantStatus(t, "delete none", s.api(text, "DELETE", path+"?all=true", ""), http.StatusNoContent)
	doc := s.api(text, "GET", captureURLsPath+"/"+captureURL.ID.Text(hook.CaptureURLPrefix), "").decode(t)
	if fmt.Sprintf("%v %v", doc["request_count"], doc["received_count"]) != "0 2" {
		t.Errorf("counts: %v kept, %v received", doc["request_count"], doc["received_count"])
	}
}
