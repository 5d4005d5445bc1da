package web

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/htmltest"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
	"github.com/hookkeeper/hookkeeper/internal/tally"
)

func (a answer) parse(t testing.TB) htmltest.Document {
	t.Helper()
	return htmltest.Parse(t, a.body)
}

// captureURLOf returns the capture URL that an answer sends the browser to.
func (s *site) captureURLOf(a answer) hook.CaptureURLStats {
	s.t.Helper()
	id, ok := hook.ParseID(hook.CaptureURLPrefix, strings.TrimPrefix(a.header.Get("Location"), "/urls/"))
	if a.status != http.StatusSeeOther || !ok {
		s.t.Fatalf("status %d, Location %q: %.300s", a.status, a.header.Get("Location"), a.body)
	}
	u, err := s.store.CaptureURL(context.Background(), hook.System, id)
	if err != nil {
		s.t.Fatal(err)
	}
	return u
}

func TestCreateCaptureURL(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.loggedIn(s.user(false))

	form := b.get("/urls/new").parse(t)
	if offered := form.One("#slug").Attr("value"); !strings.HasPrefix(offered, "name-") || len(offered) != len("name-")+8 {
		t.Errorf("offered: %q", offered)
	}
	generated := s.captureURLOf(b.post("/urls", "name", "orders", "kind", "generated", "slug", "name-12345678"))
	if generated.Name != "orders" || len(generated.Slug) != 22 || !generated.CORS || generated.Response.Status != 200 {
		t.Errorf("generated: %+v", generated.CaptureURL)
	}
	chosen := s.captureURLOf(b.post("/urls", "name", "builds", "kind", "chosen", "slug", "builds-7kq2mvd9"))
	if chosen.Slug != "builds-7kq2mvd9" {
		t.Errorf("chosen: %+v", chosen.CaptureURL)
	}
	page := b.get(urlPath(chosen.ID)).parse(t)
	if got, want := page.One(".address input").Attr("value"), s.url+"/in/builds-7kq2mvd9"; got != want {
		t.Errorf("address %q, want %q", got, want)
	}
	if len(page.All("main[data-empty]")) != 1 || !strings.Contains(page.One("#welcome .code").Text(), "/in/builds-7kq2mvd9") {
		t.Error("the empty inspector does not teach")
	}
}

func TestCreateCaptureURLMistakes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b, other := s.loggedIn(s.user(false)), s.loggedIn(s.user(false))
	s.captureURLOf(other.post("/urls", "name", "x", "kind", "chosen", "slug", "taken"))
	for _, test := range []struct {
		name, slug string
		status     int
		problems   []string
	}{
		{"", "Has Space", 422, []string{"name", "slug"}},
		{"ok", "-dash", 422, []string{"slug"}},
		{"ok", "", 422, []string{"slug"}},
		{"ok", "taken", 409, []string{"slug"}},
		{strings.Repeat("n", 201), "fine", 422, []string{"name"}},
	} {
		a := b.post("/urls", "name", test.name, "kind", "chosen", "slug", test.slug)
		wantStatus(t, test.slug, a, test.status)
		d := a.parse(t)
		var found []string
		for _, e := range d.All("[aria-invalid=true]") {
			found = append(found, e.Attr("id"))
		}
		if !slices.Equal(found, test.problems) {
			t.Errorf("%q %q: marked %q, want %q", test.name, test.slug, found, test.problems)
		}
		if d.One("#name").Attr("value") != test.name || !d.One("#chosen").Has("checked") {
			t.Errorf("%q: what was typed is lost", test.slug)
		}
	}
}

func TestHome(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	admin, ann := s.user(true), s.user(false)
	anns, admins := storetest.CaptureURLOf(t, s.store, ann), storetest.CaptureURLOf(t, s.store, admin)
	s.request(anns.ID, "new")

	rows := s.loggedIn(ann).get("/").parse(t)
	if got := rows.One(".url").Attr("data-id"); got != anns.ID.Text(hook.CaptureURLPrefix) {
		t.Errorf("ann sees %s", got)
	}
	if rows.One(".new-mark").Text() != "new" || rows.One(".url .count").Text() != "1 request" || len(rows.All(".badge")) != 0 {
		t.Errorf("ann's row: %s", rows.One(".url").Text())
	}
	if got, want := rows.One(".url [data-copy]").Attr("data-copy"), s.url+"/in/"+anns.Slug; got != want {
		t.Errorf("address %q, want %q", got, want)
	}
	all := s.loggedIn(admin).get("/").parse(t)
	var ids []string
	for _, e := range all.All(".url") {
		ids = append(ids, e.Attr("data-id"))
	}
	want := []string{admins.ID.Text(hook.CaptureURLPrefix), anns.ID.Text(hook.CaptureURLPrefix)}
	if diff := cmp.Diff(want, ids); diff != "" {
		t.Errorf("an admin sees: %s", diff)
	}
	if got := all.One(".badge").Text(); got != ann.Email {
		t.Errorf("the owner is told as %q", got)
	}
}

func TestHomePages(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ann := s.user(false)
	for range urlListRows + 5 {
		storetest.CaptureURLOf(t, s.store, ann)
	}
	b := s.loggedIn(ann)
	first := b.get("/").parse(t)
	if got := len(first.All(".url")); got != urlListRows {
		t.Fatalf("the first page has %d", got)
	}
	second := b.get(first.One("main p a.link").Attr("href")).parse(t)
	if got := len(second.All(".url")); got != 5 {
		t.Errorf("the second page has %d", got)
	}
	if len(second.All("#live")) != 0 {
		t.Error("the second page has a socket, which would tell it of the newest")
	}
}

func TestHomeRow(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ann := s.user(false)
	u := storetest.CaptureURLOf(t, s.store, ann)
	r := s.request(u.ID, "x")
	page := s.web.page(&http.Request{}, "")
	unread := func() int {
		seen, err := s.store.SeenUpTo(context.Background(), ann.ID)
		if err != nil {
			t.Fatal(err)
		}
		html, err := s.web.homeRow(context.Background(), hook.Actor{UserID: ann.ID}, page, u.ID, seen)
		if err != nil {
			t.Fatal(err)
		}
		return len(htmltest.Parse(t, html).All("li.url .new-mark"))
	}
	if unread() != 1 {
		t.Error("a new request leaves no mark")
	}
	if err := s.store.MarkSeen(context.Background(), ann.ID, u.ID, r.ID); err != nil {
		t.Fatal(err)
	}
	if unread() != 0 {
		t.Error("the mark stays")
	}
	if _, err := s.web.homeRow(context.Background(), hook.Actor{UserID: ann.ID + 1}, page, u.ID, nil); !hook.Is(err, hook.NotFound) {
		t.Errorf("somebody else gets the row: %v", err)
	}
}

func TestPauseCaptureURL(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ann := s.user(false)
	u := storetest.CaptureURLOf(t, s.store, ann)
	b := s.loggedIn(ann)
	for _, paused := range []bool{true, false} {
		if got := s.captureURLOf(b.post(urlPath(u.ID)+"/pause", "paused", strconv.FormatBool(paused))); got.Paused != paused {
			t.Errorf("paused is %v, want %v", got.Paused, paused)
		}
		button := "Resume capturing"
		if !paused {
			button = "Pause capturing"
		}
		if got := b.get(urlPath(u.ID) + "/settings").parse(t).One(".page-head button").Text(); got != button {
			t.Errorf("the button says %q", got)
		}
	}
}

func TestDeleteCaptureURL(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ann := s.user(false)
	b := s.loggedIn(ann)
	u := s.captureURLOf(b.post("/urls", "name", "orders", "kind", "chosen", "slug", "orders"))
	s.request(u.ID, "1")
	s.request(u.ID, "2")

	asked := b.get(urlPath(u.ID) + "/delete").parse(t)
	if text := asked.One("main").Text(); !strings.Contains(text, "2 requests") || !strings.Contains(text, "/in/orders") {
		t.Errorf("it does not say what goes with it: %s", text)
	}
	a := b.post(urlPath(u.ID) + "/delete")
	if a.status != http.StatusSeeOther || a.header.Get("Location") != "/" {
		t.Errorf("status %d, Location %q", a.status, a.header.Get("Location"))
	}
	wantStatus(t, "afterwards", b.get(urlPath(u.ID)), http.StatusNotFound)
	wantStatus(t, "somebody else takes the slug", s.loggedIn(s.user(false)).post("/urls", "name", "x", "kind", "chosen", "slug", "orders"), http.StatusConflict)
	if again := s.captureURLOf(b.post("/urls", "name", "orders", "kind", "chosen", "slug", "orders")); again.ID == u.ID || again.Kept != 0 {
		t.Errorf("created again: %+v", again)
	}
}

func TestURLSettings(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ann := s.user(false)
	u := storetest.CaptureURLOf(t, s.store, ann)
	b := s.loggedIn(ann)
	a := b.post(urlPath(u.ID)+"/settings", "name", "New name", "status", " 202 ", "delay_ms", "1500", "cors", "true",
		"headers", "Content-Type: application/json\r\n\r\nX-A:b\r\n", "body", "{\r\n}", "keep_requests", "500", "keep_days", "", "keep_mib", "1.5", "rate", " 0.5 ")
	got := s.captureURLOf(a)
	want := got
	want.Name, want.CORS = "New name", true
	want.Response = hook.Response{
		Status: 202, Delay: 1500 * time.Millisecond, Body: []byte("{\n}"),
		Headers: []hook.Header{{Name: "Content-Type", Value: "application/json"}, {Name: "X-A", Value: "b"}},
	}
	want.Keep = hook.Keep{Requests: 500, Bytes: 3 << 19}
	want.Rate = 0.5
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	form := b.get(urlPath(u.ID) + "/settings").parse(t)
	for id, want := range map[string]string{
		"name": "New name", "status": "202", "delay_ms": "1500", "keep_requests": "500", "keep_days": "", "keep_mib": "1.5", "rate": "0.5",
	} {
		if got := form.One("#" + id).Attr("value"); got != want {
			t.Errorf("%s shows %q, want %q", id, got, want)
		}
	}
	if got := form.One("textarea#headers").RawText(); got != "Content-Type: application/json\nX-A: b" {
		t.Errorf("headers show %q", got)
	}
}

func TestURLSettingsMistakes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ann := s.user(false)
	u := storetest.CaptureURLOf(t, s.store, ann)
	b := s.loggedIn(ann)
	a := b.post(urlPath(u.ID)+"/settings", "name", "", "status", "99", "delay_ms", "soon", "headers", "Set-Cookie: a=b\nno colon",
		"body", "typed", "keep_requests", "-1", "keep_days", "99999999999999999999999", "keep_mib", "1e9", "rate", "0")
	wantStatus(t, "mistakes", a, http.StatusUnprocessableEntity)
	d := a.parse(t)
	var marked []string
	for _, e := range d.All("[aria-invalid=true]") {
		marked = append(marked, e.Attr("id"))
	}
	if diff := cmp.Diff([]string{"name", "status", "delay_ms", "headers", "keep_requests", "keep_days", "keep_mib", "rate"}, marked); diff != "" {
		t.Errorf("marked: %s", diff)
	}
	if got := d.One("textarea#body").RawText(); got != "typed" {
		t.Errorf("what was typed is lost: %q", got)
	}
	after, err := s.store.CaptureURL(context.Background(), hook.System, u.ID)
	if err != nil || after.Name != u.Name {
		t.Errorf("it was changed all the same: %+v, %v", after, err)
	}
}

// TestNumbersSayWhatIsAllowed: a number that cannot be used is told what can, in the unit that it was typed in, and a 0 that was
// typed is not taken for an empty field.
func TestNumbersSayWhatIsAllowed(t *testing.T) {
	t.Parallel()
	d := newDash(t, guarded(t))
	settings := urlPath(d.own.ID) + "/settings"
	subscription := []string{"action", "save", "name", "n", "target_url", "https://a.example", "scheme", "none"}
	for _, test := range []struct {
		path, field string
		values      []string
		want        string
	}{
		{settings, "status", []string{"", "OK", "-1"}, "Must be between 200 and 599."},
		{settings, "delay_ms", []string{"-1", "soon"}, "Must be between 0 and 25000."},
		{settings, "keep_requests", []string{"0", "-1", "many", "1.5"}, "Must be between 1 and 1000000000, or empty for the default."},
		{settings, "keep_days", []string{"0", "-3"}, "Must be between 1 and 36500, or empty for the default."},
		{settings, "keep_mib", []string{"0", "-1", "0.5", "lots"}, "Must be between 1 and 1073741824 MiB, or empty for the default."},
		{settings, "rate", []string{"0", "-1", "NaN", "fast"}, "Must be between 0.01 and 10000, or empty for no limit."},
		{d.form(), "timeout", []string{"0", "-1", "31", "NaN", "1e400"}, "Must be between 1 and 30 seconds."},
		{d.form(), "max_attempts", []string{"0", "-1", "2.5", "101"}, "Must be between 1 and 100."},
		{d.form(), "concurrency", []string{"0", "-1", "NaN"}, "Must be between 1 and 256."},
		{d.form(), "rate", []string{"0", "-1", "NaN"}, "Must be between 0.01 and 10000, or empty for no limit."},
	} {
		for _, value := range test.values {
			form := append([]string{test.field, value}, subscription...)
			if test.path == settings && test.field != "status" {
				form = append(form, "status", "200")
			}
			a := d.post(test.path, form...)
			wantStatus(t, test.field+" "+value, a, http.StatusUnprocessableEntity)
			if got := a.parse(t).One("#" + test.field + "-problem").Text(); got != test.want {
				t.Errorf("%s %q: %q, want %q", test.field, value, got, test.want)
			}
		}
	}
}

// TestBinaryBodyStays keeps an answer's body that no text field can show.
func TestBinaryBodyStays(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ann := s.user(false)
	u := storetest.CaptureURLOf(t, s.store, ann)
	binary := []byte("\x89PNG\r\n\xff")
	_, err := s.store.UpdateCaptureURL(context.Background(), hook.System, u.ID, func(u *hook.CaptureURL) error {
		u.Response.Body = binary
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	b := s.loggedIn(ann)
	if got := b.get(urlPath(u.ID) + "/settings").parse(t).One("textarea#body").RawText(); got != "" {
		t.Errorf("shown as %q", got)
	}
	if got := s.captureURLOf(b.post(urlPath(u.ID)+"/settings", "name", "n", "status", "200", "body", "")); string(got.Response.Body) != string(binary) {
		t.Errorf("an empty field made it %q", got.Response.Body)
	}
	if got := s.captureURLOf(b.post(urlPath(u.ID)+"/settings", "name", "n", "status", "200", "body", "text")); string(got.Response.Body) != "text" {
		t.Errorf("a typed one made it %q", got.Response.Body)
	}
}

func TestReadMiB(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"": 0, "1": 1 << 20, "0.0000001": 1, "1024": 1 << 30, "0.5": 1 << 19, "99999999999": (1<<31 - 1) << 20} {
		if got := readMiB(text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
	for _, text := range []string{"0", "-1", "NaN", "Inf", "1e3", "1,5", "1.2.3", "0x10"} {
		if got := readMiB(text); got != unusable {
			t.Errorf("%q was read as %d", text, got)
		}
	}
}

// TestRefusalsAreTold: the owner of a capture URL learns on its page that requests were refused, and in its settings why.
func TestRefusalsAreTold(t *testing.T) {
	t.Parallel()
	counts := &tally.Tally{}
	s := newSite(t, func(o *Options) { o.Tally = counts })
	u := s.user(false)
	b, url := s.loggedIn(u), s.ownURLs(u)[0]
	page, settings := urlPath(url.ID), urlPath(url.ID)+"/settings"
	if text := b.get(page).parse(t).One("#address").Text(); strings.Contains(text, "refused") {
		t.Errorf("before: %s", text)
	}
	if text := b.get(settings).parse(t).One("#refused").Text(); !strings.Contains(text, "No request since the server has started.") {
		t.Errorf("before: %s", text)
	}
	for range 1200 {
		counts.CountURL(url.ID, hook.LimitRate)
	}
	counts.CountURL(url.ID+1, hook.LimitPaused)
	note := b.get(page).parse(t).One("#address .facts a.warn")
	if note.Text() != "1,200 refused" || note.Attr("href") != settings+"#refused" {
		t.Errorf("the page says %q, with a link to %s", note.Text(), note.Attr("href"))
	}
	var row []string
	for _, cell := range b.get(settings).parse(t).All("#refused td") {
		row = append(row, strings.TrimSpace(cell.Text()))
	}
	if diff := cmp.Diff([]string{"429", "over the rate of the capture URL", "now", "1,200"}, row); diff != "" {
		t.Error(diff)
	}
}
