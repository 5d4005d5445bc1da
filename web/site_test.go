package web

import (
	"context"
	"database/sql"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/auth"
	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/live"
	"github.com/hookkeeper/hookkeeper/internal/netid"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

const testPassword = "correct horse battery"

// site is a server on a real socket over a real database.
type site struct {
	t     *testing.T
	web   *Server
	store *store.Store
	url   string
	path  string           // of the database
	log   *strings.Builder // read it only when nothing is being asked
}

// newServer makes a server over a new database. Captures are answered by a handler that tells the target it was given.
func newServer(t *testing.T, path string, log io.Writer, change ...func(*Options)) (*Server, *store.Store) {
	t.Helper()
	o := Options{
		Store: storetest.Open(t, store.Options{Path: path}),
		Hub:   live.NewHub(),
		Capture: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "captured "+r.RequestURI)
		}),
		Hasher:            auth.NewHasher(),
		Limiter:           auth.NewLimiter(),
		SessionMax:        hook.DefaultSessionMax,
		MaxSocketsPerAddr: hook.DefaultSocksPerIP,
		Log:               slog.New(slog.NewJSONHandler(log, nil)),
	}
	own := o.Store
	t.Cleanup(func() { storetest.WantSound(t, own) })
	for _, f := range change {
		f(&o)
	}
	server, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return server, o.Store
}

// newSite starts a server on a socket.
func newSite(t *testing.T, change ...func(*Options)) *site {
	t.Helper()
	log, path := &strings.Builder{}, filepath.Join(t.TempDir(), "hookkeeper.db")
	server, st := newServer(t, path, log, change...)
	srv := httptest.NewUnstartedServer(server)
	srv.Config.DisableGeneralOptionsHandler = true
	srv.Start()
	t.Cleanup(srv.Close)
	return &site{t: t, web: server, store: st, url: srv.URL, path: path, log: log}
}

// database opens the site's database a second time.
func (s *site) database() *sql.DB {
	s.t.Helper()
	db, err := sql.Open("sqlite", "file:"+s.path)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := db.Close(); err != nil {
			s.t.Error(err)
		}
	})
	return db
}

func publicURL(raw string) func(*Options) {
	return func(o *Options) { o.Site.Public, _ = url.Parse(raw) }
}

// trustLoopback makes the test's own socket a trusted proxy.
func trustLoopback(o *Options) {
	o.Site.Proxies = netid.Proxies{Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Header: "x-forwarded-for"}
}

// user makes a user who logs in with testPassword.
func (s *site) user(admin bool) hook.User {
	s.t.Helper()
	u := storetest.User(s.t, s.store, admin)
	phc, err := s.web.Hasher.Hash(context.Background(), testPassword)
	if err != nil {
		s.t.Fatal(err)
	}
	changed, err := s.store.SetPassword(context.Background(), u.ID, phc, false)
	if err != nil {
		s.t.Fatal(err)
	}
	u.SessionEpoch = changed.Epoch
	return u
}

// token makes an API token of the user.
func (s *site) token(u hook.User) string {
	s.t.Helper()
	text, hash, hint := auth.NewToken()
	if err := s.store.CreateToken(context.Background(), &hook.Token{UserID: u.ID, Name: "ci", Hint: hint}, hash); err != nil {
		s.t.Fatal(err)
	}
	return text
}

// request stores a request with the body and returns it.
func (s *site) request(captureURL hook.ID, body string) *hook.Request {
	s.t.Helper()
	r := storetest.Request(captureURL, 0)
	r.Body, r.BodySize = []byte(body), int64(len(body))
	if err := s.store.Capture(r); err != nil {
		s.t.Fatal(err)
	}
	return r
}

// browser is a client that keeps cookies and follows no redirect.
type browser struct {
	*site
	client *http.Client
}

func (s *site) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return &browser{s, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}}
}

// loggedIn returns a browser in which the user is logged in.
func (s *site) loggedIn(u hook.User) *browser {
	s.t.Helper()
	b := s.browser()
	if a := b.post("/login", "email", u.Email, "password", testPassword); a.status != http.StatusSeeOther {
		s.t.Fatalf("login: status %d: %s", a.status, a.body)
	}
	return b
}

// answer is a response, read.
type answer struct {
	status int
	header http.Header
	body   string
}

func (b *browser) do(req *http.Request) answer {
	b.t.Helper()
	resp, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(body)}
}

// ask sends a request with header names and values.
func (b *browser) ask(method, path, body string, headers ...string) answer {
	b.t.Helper()
	req, err := http.NewRequest(method, b.url+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
	}
	return b.do(req)
}

func (b *browser) get(path string, headers ...string) answer {
	b.t.Helper()
	return b.ask("GET", path, "", headers...)
}

// post sends a form of names and values as a page of the site would.
func (b *browser) post(path string, form ...string) answer {
	b.t.Helper()
	values := url.Values{}
	for i := 0; i < len(form); i += 2 {
		values.Add(form[i], form[i+1])
	}
	return b.ask("POST", path, values.Encode(), "Content-Type", "application/x-www-form-urlencoded",
		"Origin", b.url, "Sec-Fetch-Site", "same-origin")
}

// follow posts a form that has to be taken and returns the page it leads to.
func (b *browser) follow(path string, fields ...string) answer {
	b.t.Helper()
	a := b.post(path, fields...)
	if a.status != http.StatusSeeOther {
		b.t.Fatalf("POST %s: status %d: %s", path, a.status, a.parse(b.t).One("main").Text())
	}
	return b.get(a.header.Get("Location"))
}

// cookie returns the value of a cookie that the browser keeps.
func (b *browser) cookie(name string) string {
	u, _ := url.Parse(b.url)
	for _, c := range b.client.Jar.Cookies(u) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// setCookie plants a cookie.
func (b *browser) setCookie(name, value string) {
	u, _ := url.Parse(b.url)
	b.client.Jar.SetCookies(u, []*http.Cookie{{Name: name, Value: value, Path: "/"}})
}

// api sends a request with a token and a JSON body. That it may be answered so has to stand in openapi.json.
func (s *site) api(token, method, path, body string, headers ...string) answer {
	s.t.Helper()
	if body != "" {
		headers = append(headers, "Content-Type", "application/json")
	}
	a := s.browser().ask(method, path, body, append(headers, "Authorization", "Bearer "+token)...)
	wantDocumented(s.t, method, path, a.status)
	return a
}

func wantStatus(t *testing.T, what string, a answer, want int) {
	t.Helper()
	if a.status != want {
		t.Errorf("%s: status %d, want %d; body %.300q", what, a.status, want, a.body)
	}
}

// setup returns options with a set-up link, and the token of the link.
func setupLink() (token string, option func(*Options)) {
	token, hash := auth.NewSecret()
	return token, func(o *Options) { o.Setup = Setup{Hash: hash, Expires: time.Now().Add(time.Hour)} }
}
