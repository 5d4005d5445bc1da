package cli

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookkeeper/hookkeeper/internal/auth"
	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

const goodPassword = "correct horse battery"

// instance is a data directory, perhaps with a database.
type instance struct {
	t   *testing.T
	dir string
}

// newInstance returns one with an empty database that is open, as a server would have it.
func newInstance(t *testing.T) (instance, *store.Store) {
	t.Helper()
	in := instance{t, t.TempDir()}
	return in, storetest.Open(t, store.Options{Path: databasePath(in.dir)})
}

// run runs the real command line.
func (in instance) run(stdin string, args ...string) (status int, stdout, stderr string) {
	in.t.Helper()
	var out, errs bytes.Buffer
	environ := []string{"HOOKKEEPER_DATA=" + in.dir}
	status = Main(in.t.Context(), args, environ, strings.NewReader(stdin), &out, &errs)
	return status, out.String(), errs.String()
}

// must runs a command that has to succeed and returns its standard output.
func (in instance) must(stdin string, args ...string) string {
	in.t.Helper()
	status, stdout, stderr := in.run(stdin, args...)
	if status != exitDone {
		in.t.Fatalf("%q: status %d, %s", args, status, stderr)
	}
	return stdout
}

// fails runs a command that has to fail with the status and a part of the message.
func (in instance) fails(status int, message, stdin string, args ...string) {
	in.t.Helper()
	got, stdout, stderr := in.run(stdin, args...)
	if got != status || !strings.Contains(stderr, message) || !strings.HasPrefix(stderr, "hookkeeper: ") {
		in.t.Errorf("%q: status %d, %q; want %d with %q", args, got, stderr, status, message)
	}
	if stdout != "" {
		in.t.Errorf("%q failed and printed %q on standard output", args, stdout)
	}
}

func TestHelp(t *testing.T) {
	in := instance{t, t.TempDir()}
	for args, wants := range map[string][]string{
		"--help":            {"Usage: hookkeeper <command>", "serve", "user", "token", "backup", "check", "healthcheck", "version", "serve --help"},
		"serve --help":      {"--max-body=SIZE", "Default: 10MiB. [$HOOKKEEPER_MAX_BODY]", "--api-token-file=FILE", "Accounts:"},
		"user --help":       {"user add", "user list", "user passwd", "user delete"},
		"user add --help":   {"--password-stdin", "--admin", "[$HOOKKEEPER_DATA]"},
		"token add --help":  {"--user=EMAIL"},
		"token list --help": {"--json"},
		"backup --help":     {"<file>", "--with-key", "[$HOOKKEEPER_DATA]"},
	} {
		text := strings.Join(strings.Fields(in.must("", strings.Fields(args)...)), " ")
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q is missing in:\n%s", args, want, text)
			}
		}
		if strings.Contains(text, "--admin-password=") || strings.Contains(text, "--api-token=") {
			t.Errorf("%s: a secret must not be given on a command line", args)
		}
	}
}

func TestWrongUsage(t *testing.T) {
	in := instance{t, t.TempDir()}
	for _, test := range []struct {
		args, message, help string
	}{
		{"usr", "unexpected argument usr", "hookkeeper --help"},
		{"--max-bodyy=3", `did you mean "--max-body"?`, "hookkeeper --help"},
		{"serve --max-bodyy=3", `did you mean "--max-body"?`, "hookkeeper serve --help"},
		{"user", `expected one of "add"`, "hookkeeper user --help"},
		{"user add", "<email>", "hookkeeper user add --help"},
		{"user add a@example.com b@example.com", "unexpected argument", "hookkeeper user add --help"},
		{"token add ci", "--user", "hookkeeper token add --help"},
		{"user delete a@example.com --with-data --transfer-to b@example.com", "can't be used together", "hookkeeper user delete --help"},
		{"serve --admin-password=secret123456", "unknown flag --admin-password", "hookkeeper serve --help"},
		{"serve --api-token=secret123456", "unknown flag --api-token", "hookkeeper serve --help"},
	} {
		in.fails(exitUsage, test.message, "", strings.Fields(test.args)...)
		if _, _, stderr := in.run("", strings.Fields(test.args)...); !strings.Contains(stderr, `Run "`+test.help+`" for help.`) {
			t.Errorf("%s: %q does not point to %s", test.args, stderr, test.help)
		}
	}
}

func TestEverySettingThatIsWrongIsTold(t *testing.T) {
	environ := []string{"HOOKKEEPER_ADDR=8080", "HOOKKEEPER_MAX_BODDY=1MiB"}
	for _, args := range [][]string{nil, {"serve"}, {"user", "list"}, {"token", "list"}, {"check"}, {"healthcheck"}} {
		var out, errs bytes.Buffer
		status := Main(t.Context(), args, environ, strings.NewReader(""), &out, &errs)
		want := "hookkeeper: these settings cannot be used:\n" +
			"  HOOKKEEPER_MAX_BODDY: is not a setting; did you mean HOOKKEEPER_MAX_BODY?\n" +
			"  HOOKKEEPER_ADDR: \"8080\" is not an address; use host:port, like localhost:8080, or :8080 for every interface\n"
		if status != exitUsage || errs.String() != want {
			t.Errorf("%q: status %d, %s", args, status, errs.String())
		}
	}
}

func TestUserAdd(t *testing.T) {
	in, s := newInstance(t)
	in.fails(exitUsage, "the first one must be an admin: add --admin", goodPassword, "user", "add", "ann@example.com", "--password-stdin")
	if got := in.must(goodPassword+"\n", "user", "add", "ann@example.com", "--admin", "--password-stdin"); got != "Added admin ann@example.com.\n" {
		t.Errorf("got %q", got)
	}
	if got := in.must(" spaces count \r\n", "user", "add", "bob@example.com", "--password-stdin"); got != "Added user bob@example.com.\n" {
		t.Errorf("got %q", got)
	}
	for email, password := range map[string]string{"ann@example.com": goodPassword, "BOB@example.com": " spaces count "} {
		u, err := s.UserByEmail(t.Context(), email)
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := auth.NewHasher().Verify(t.Context(), password, u.PasswordHash); !ok || err != nil {
			t.Errorf("%s: the password does not fit: %v", email, err)
		}
		if u.Admin != (u.Email == "ann@example.com") {
			t.Errorf("%s: admin %t", email, u.Admin)
		}
	}
	in.fails(exitFailed, `there is a user "Ann@example.com" already`, goodPassword, "user", "add", "Ann@example.com", "--password-stdin")
	in.fails(exitUsage, "is not an e-mail address", goodPassword, "user", "add", "carl", "--password-stdin")
	in.fails(exitUsage, "the password must have at least 10 characters", "short", "user", "add", "carl@example.com", "--password-stdin")
	in.fails(exitUsage, "the password is longer than 1024 bytes", strings.Repeat("x", 9999), "user", "add", "carl@example.com", "--password-stdin")
	in.fails(exitUsage, "add --password-stdin", goodPassword, "user", "add", "carl@example.com")
	if users, err := s.Users(t.Context()); len(users) != 2 || err != nil {
		t.Errorf("%d users after failures, %v", len(users), err)
	}
}

func TestUserAddMakesTheDatabase(t *testing.T) {
	in := instance{t, filepath.Join(t.TempDir(), "new")}
	in.fails(exitFailed, "there is no database in", "", "user", "list")
	in.fails(exitFailed, "--data or HOOKKEEPER_DATA", "", "check")
	status, _, stderr := in.run(goodPassword, "user", "add", "ann@example.com", "--admin", "--password-stdin")
	if status != exitDone || !strings.Contains(stderr, "made an empty one") {
		t.Fatalf("status %d, %s", status, stderr)
	}
	if info, err := os.Stat(in.dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v: the directory must be for its owner only", info.Mode(), err)
	}
	if got := in.must("", "user", "list", "--data", in.dir); !strings.Contains(got, "ann@example.com") {
		t.Errorf("got %q", got)
	}
}

func TestUserList(t *testing.T) {
	in, s := newInstance(t)
	if got := in.must("", "user", "list", "--json"); got != "[]\n" {
		t.Errorf("without users: %q", got)
	}
	u := hook.User{Email: "ann@example.com", Admin: true}
	if err := s.CreateUser(t.Context(), &u); err != nil {
		t.Fatal(err)
	}
	table := regexp.MustCompile(`^ID +EMAIL +ROLE +ADDED\nusr_\w{13}  ann@example.com  admin  \d{4}-\d\d-\d\d \d\d:\d\d\n$`)
	if got := in.must("", "user", "list"); !table.MatchString(got) {
		t.Errorf("got\n%s", got)
	}
	var items []map[string]any
	if err := json.Unmarshal([]byte(in.must("", "user", "list", "--json")), &items); err != nil {
		t.Fatal(err)
	}
	want := []map[string]any{{
		"id": u.ID.Text(hook.UserPrefix), "email": "ann@example.com", "admin": true,
		"created_at": u.CreatedAt.Format("2006-01-02T15:04:05.000000Z"),
	}}
	if diff := cmp.Diff(want, items); diff != "" {
		t.Error(diff)
	}
}

func TestUserPasswd(t *testing.T) {
	in, s := newInstance(t)
	u := storetest.User(t, s, true)
	in.must(goodPassword, "user", "passwd", u.Email, "--password-stdin")
	changed, err := s.User(t.Context(), u.ID)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := auth.NewHasher().Verify(t.Context(), goodPassword, changed.PasswordHash); !ok || err != nil {
		t.Errorf("the new password does not fit: %v", err)
	}
	if changed.SessionEpoch <= u.SessionEpoch {
		t.Error("the sessions go on")
	}
	in.fails(exitFailed, `there is no user "nobody@example.com"`, goodPassword, "user", "passwd", "nobody@example.com", "--password-stdin")
	in.fails(exitUsage, "at least 10 characters", "", "user", "passwd", u.Email, "--password-stdin")
}

// TestUserPasswdAndTokens: API tokens outlive a password, which is said, unless they are to go with it.
func TestUserPasswdAndTokens(t *testing.T) {
	in, s := newInstance(t)
	u := storetest.User(t, s, true)
	hash := auth.HashToken("from-the-environment-24-characters")
	if err := s.SetEnvToken(t.Context(), u.ID, &hash, "ters"); err != nil {
		t.Fatal(err)
	}
	in.must("", "token", "add", "ci", "--user", u.Email)
	left := func() int {
		tokens, err := s.Tokens(t.Context(), hook.System)
		if err != nil {
			t.Fatal(err)
		}
		return len(tokens)
	}
	out := in.must(goodPassword, "user", "passwd", u.Email, "--password-stdin")
	if !strings.Contains(out, "stay valid: 2") || !strings.Contains(out, "--revoke-tokens") || left() != 2 {
		t.Errorf("%d tokens are left, told was %q", left(), out)
	}
	status, out, stderr := in.run(goodPassword, "user", "passwd", u.Email, "--password-stdin", "--revoke-tokens")
	if status != exitDone || !strings.Contains(out, "revoked: 2") || !strings.Contains(stderr, "HOOKKEEPER_API_TOKEN") || left() != 0 {
		t.Errorf("status %d, %d tokens are left, told was %q and %q", status, left(), out, stderr)
	}
	if out := in.must(goodPassword, "user", "passwd", u.Email, "--password-stdin"); strings.Contains(out, "token") {
		t.Errorf("without tokens it says %q", out)
	}
}

func TestUserDelete(t *testing.T) {
	in, s := newInstance(t)
	ctx := t.Context()
	admin, owner := storetest.User(t, s, true), storetest.User(t, s, false)
	kept := storetest.CaptureURLOf(t, s, owner)

	in.fails(exitFailed, admin.Email+" is the only admin. Make another admin first: hookkeeper user add EMAIL --admin.\n", "", "user", "delete", admin.Email)
	in.fails(exitFailed, `no user "nobody@example.com"`, "", "user", "delete", "nobody@example.com")
	in.fails(exitFailed, "owns 1 capture URL", "", "user", "delete", owner.Email)
	in.fails(exitFailed, "--transfer-to EMAIL or --with-data", "", "user", "delete", owner.Email)
	in.fails(exitFailed, `no user "nobody@example.com"`, "", "user", "delete", owner.Email, "--transfer-to", "nobody@example.com")
	in.fails(exitUsage, "name another user", "", "user", "delete", owner.Email, "--transfer-to", strings.ToUpper(owner.Email))

	in.must("", "user", "delete", owner.Email, "--transfer-to", admin.Email)
	if _, err := s.User(ctx, owner.ID); !hook.Is(err, hook.NotFound) {
		t.Errorf("the user is still there: %v", err)
	}
	fresh := storetest.Open(t, store.Options{Path: databasePath(in.dir)})
	if u, err := fresh.CaptureURL(ctx, hook.Actor{UserID: admin.ID}, kept.ID); err != nil || u.OwnerID != admin.ID {
		t.Errorf("the capture URL was not transferred: %v", err)
	}

	none := storetest.User(t, s, false)
	in.must("", "user", "delete", none.Email) // owns nothing: needs no flag
}

// Without a server, the command itself removes the requests; beside one it leaves that to the server.
func TestUserDeleteWithData(t *testing.T) {
	in, s := newInstance(t)
	storetest.User(t, s, true)
	remove := func() (left bool, stderr string) {
		t.Helper()
		owner := storetest.User(t, s, false)
		u := storetest.CaptureURLOf(t, s, owner)
		status, _, stderr := in.run("", "user", "delete", owner.Email, "--with-data")
		if status != exitDone {
			t.Fatal(stderr)
		}
		return rowsOf(t, in.dir, u.ID) > 0, stderr
	}
	unlock, err := lockDataDir(in.dir)
	if err != nil {
		t.Fatal(err)
	}
	if left, stderr := remove(); !left || !strings.Contains(stderr, "running server removes") {
		t.Errorf("beside a server: rows left %t, %q", left, stderr)
	}
	unlock()
	if left, stderr := remove(); left || strings.Contains(stderr, "running server") {
		t.Errorf("without a server: rows left %t, %q", left, stderr)
	}
}

// rowsOf counts the rows of a capture URL in the database file, deleted ones too.
func rowsOf(t *testing.T, dir string, id hook.ID) (n int) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+databasePath(dir)+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow("SELECT count(*) FROM capture_urls WHERE id = $1", id).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestTokens(t *testing.T) {
	in, s := newInstance(t)
	ctx := t.Context()
	u := storetest.User(t, s, false)
	if got := in.must("", "token", "list", "--json"); got != "[]\n" {
		t.Errorf("without tokens: %q", got)
	}

	status, stdout, stderr := in.run("", "token", "add", "the CI", "--user", u.Email)
	text := strings.TrimSuffix(stdout, "\n")
	if status != exitDone || !regexp.MustCompile(`^hk_[a-z2-7]{52}$`).MatchString(text) || !strings.Contains(stderr, "only this once") {
		t.Fatalf("status %d, %q, %q", status, stdout, stderr)
	}
	if strings.Contains(stderr, text) {
		t.Error("the token must be on standard output only")
	}
	token, owner, err := s.TokenByHash(ctx, auth.HashToken(text))
	if err != nil || owner.ID != u.ID || token.Name != "the CI" {
		t.Fatalf("the token does not work: %+v, %v", token, err)
	}

	id := token.ID.Text(hook.TokenPrefix)
	table := regexp.MustCompile(`^ID +NAME +USER +TOKEN +ADDED +LAST USED\n` + id + `  the CI  ` + regexp.QuoteMeta(u.Email) + `  …` + text[len(text)-4:] + `  \d`)
	if got := in.must("", "token", "list"); !table.MatchString(got) {
		t.Errorf("got\n%s", got)
	}
	var items []map[string]any
	if err := json.Unmarshal([]byte(in.must("", "token", "list", "--json")), &items); err != nil {
		t.Fatal(err)
	}
	if len(items) != 1 || items[0]["last_used_at"] == nil {
		t.Errorf("a token that was used: %v", items)
	}
	delete(items[0], "last_used_at")
	want := []map[string]any{{
		"id": id, "name": "the CI", "user": u.Email, "hint": text[len(text)-4:], "from_environment": false,
		"created_at": token.CreatedAt.Format("2006-01-02T15:04:05.000000Z"),
	}}
	if diff := cmp.Diff(want, items); diff != "" {
		t.Error(diff)
	}

	if got := in.must("", "token", "revoke", id); got != "Revoked "+id+".\n" {
		t.Errorf("got %q", got)
	}
	if _, _, err := s.TokenByHash(ctx, auth.HashToken(text)); !hook.Is(err, hook.NotFound) {
		t.Errorf("a revoked token works: %v", err)
	}
	in.fails(exitFailed, "There is no such token.", "", "token", "revoke", id)
	in.fails(exitUsage, "is not the id of a token", "", "token", "revoke", text)
	in.fails(exitFailed, `no user "nobody@example.com"`, "", "token", "add", "x", "--user", "nobody@example.com")
	in.fails(exitUsage, "the name is empty: give the token a name", "", "token", "add", " ", "--user", u.Email)
	in.fails(exitUsage, "the name contains control characters", "", "token", "add", "a\x1b[2J", "--user", u.Email)
}

func TestRevokingTheTokenOfTheEnvironment(t *testing.T) {
	in, s := newInstance(t)
	u := storetest.User(t, s, true)
	hash := auth.HashToken("from-the-environment-24-characters")
	if err := s.SetEnvToken(t.Context(), u.ID, &hash, "ters"); err != nil {
		t.Fatal(err)
	}
	tokens, err := s.Tokens(t.Context(), hook.System)
	if err != nil || len(tokens) != 1 {
		t.Fatal(tokens, err)
	}
	status, _, stderr := in.run("", "token", "revoke", tokens[0].ID.Text(hook.TokenPrefix))
	if status != exitDone || !strings.Contains(stderr, "HOOKKEEPER_API_TOKEN") {
		t.Errorf("status %d, %q", status, stderr)
	}
}

func TestCheck(t *testing.T) {
	in := instance{t, t.TempDir()}
	path := databasePath(in.dir)
	s, err := store.Open(t.Context(), store.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	for range 300 {
		storetest.CaptureURL(t, s)
	}
	if got := in.must("", "check"); got != "The database is sound.\n" {
		t.Errorf("got %q", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := len(content) / 2; i < len(content)/2+20_000; i++ {
		content[i] ^= 0x55
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	status, stdout, stderr := in.run("", "check")
	if status != exitFailed || strings.Contains(stdout, "sound") || stdout == "" || !strings.Contains(stderr, "restore a backup") {
		t.Errorf("a damaged database: status %d, %q, %q", status, stdout, stderr)
	}
	if err := os.WriteFile(path, bytes.Repeat([]byte("no database "), 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	status, stdout, stderr = in.run("", "check")
	if status != exitFailed || !strings.Contains(stdout, "not a database") || !strings.Contains(stderr, "restore a backup") {
		t.Errorf("no database at all: status %d, %q, %q", status, stdout, stderr)
	}
}

func TestHealthcheck(t *testing.T) {
	answer := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" || r.Method != http.MethodGet {
			t.Errorf("asked for %s %s", r.Method, r.URL.Path)
		}
		if answer == http.StatusFound {
			w.Header().Set("Location", "/readyz")
		}
		w.WriteHeader(answer)
		_, _ = w.Write([]byte("the disk\x1b is full\n"))
	}))
	defer server.Close()
	in := instance{t, t.TempDir()}
	addr := server.Listener.Addr().String()
	if got := in.must("", "healthcheck", "--addr", addr); got != "ready\n" {
		t.Errorf("got %q", got)
	}
	answer = http.StatusServiceUnavailable
	in.fails(exitFailed, `503 Service Unavailable "the disk\x1b is full"`, "", "healthcheck", "--addr", addr)
	answer = http.StatusFound
	in.fails(exitFailed, "302 Found", "", "healthcheck", "--addr", addr)

	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free := closed.Addr().String()
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	in.fails(exitFailed, "is it running, and is HOOKKEEPER_ADDR the same", "", "healthcheck", "--addr", free)
}

func TestInterrupted(t *testing.T) {
	in, _ := newInstance(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errs bytes.Buffer
	status := Main(ctx, []string{"user", "list"}, []string{"HOOKKEEPER_DATA=" + in.dir}, strings.NewReader(""), &out, &errs)
	if status != exitFailed || errs.String() != "hookkeeper: interrupted\n" {
		t.Errorf("status %d, %q", status, errs.String())
	}
}

func TestVersion(t *testing.T) {
	in := instance{t, t.TempDir()}
	form := regexp.MustCompile(`^hookkeeper \S+ \w+/\w+ go1\.\d+\S*\n$`)
	if got := in.must("", "version"); !form.MatchString(got) {
		t.Errorf("got %q", got)
	}
	defer func(before string) { release = before }(release)
	release = "v1.2.3"
	if got := in.must("", "version"); !strings.HasPrefix(got, "hookkeeper v1.2.3 ") {
		t.Errorf("got %q", got)
	}
}

func TestTimestamp(t *testing.T) {
	if timestamp(time.Time{}) != nil {
		t.Error("no time must be null")
	}
	zone := time.FixedZone("", 3600)
	if got := *timestamp(time.Date(2026, 1, 2, 3, 4, 5, 6789, zone)); got != "2026-01-02T02:04:05.000006Z" {
		t.Errorf("got %s", got)
	}
}
