package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hookkeeper/hookkeeper/internal/egress"
	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/seal"
)

func load(t *testing.T, environ ...string) Config {
	t.Helper()
	c, err := Load(Settings{}, environ)
	if err != nil {
		t.Fatalf("Load(%q): %v", environ, err)
	}
	return c
}

// problems returns the mistakes as "VARIABLE: message" without the prefix of the variables.
func problems(t *testing.T, environ ...string) []string {
	t.Helper()
	_, err := Load(Settings{}, environ)
	found, ok := errors.AsType[Problems](err)
	if err != nil && !ok {
		t.Fatalf("Load(%q): not Problems: %v", environ, err)
	}
	var texts []string
	for _, p := range found {
		texts = append(texts, strings.TrimPrefix(p.Variable, variablePrefix)+": "+p.Message)
	}
	return texts
}

func TestDefaults(t *testing.T) {
	want := Config{
		Addr:              "localhost:8080",
		DataDir:           "data",
		ProxyHeader:       "x-forwarded-for",
		MaxBody:           10 << 20,
		Keep:              hook.Keep{Requests: 10_000, Days: 30, Bytes: 1 << 30},
		SessionIdle:       24 * time.Hour,
		SessionMax:        720 * time.Hour,
		MaxConnsPerAddr:   2000,
		MaxSocketsPerAddr: 2000,
		DiskReserve:       AutoDiskReserve,
		LogFormat:         "auto",
		LogLevel:          slog.LevelInfo,
	}
	got := load(t, "PATH=/bin", "HOOKKEEPERS=1")
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Config{}, egress.AllowList{}, seal.Key{})); diff != "" {
		t.Error(diff)
	}
}

// The defaults written in the tags and those of the domain are the same numbers.
func TestDefaultsAreThoseOfTheDomain(t *testing.T) {
	c := load(t)
	want := []any{
		int64(hook.DefaultMaxBody),
		hook.Keep{Requests: hook.DefaultKeepCount, Days: hook.DefaultKeepDays, Bytes: hook.DefaultKeepBytes},
		hook.DefaultSessionIdle, hook.DefaultSessionMax, hook.DefaultConnsPerIP, hook.DefaultSocksPerIP,
	}
	got := []any{c.MaxBody, c.Keep, c.SessionIdle, c.SessionMax, c.MaxConnsPerAddr, c.MaxSocketsPerAddr}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestEverySettingFromTheEnvironment(t *testing.T) {
	c := load(t,
		"HOOKKEEPER_ADDR=:9000",
		"HOOKKEEPER_DATA=/var/lib/hookkeeper",
		"HOOKKEEPER_PUBLIC_URL=HTTPS://Hooks.Example.com.:443/team/a/",
		"HOOKKEEPER_ALLOWED_HOSTS=Dash.example.com., 10.1.2.3 ,[FD00::1]",
		"HOOKKEEPER_CAPTURE_ORIGIN=https://in.example.com:8443/",
		"HOOKKEEPER_ADMIN_EMAIL=ann@example.com",
		"HOOKKEEPER_ADMIN_PASSWORD= correct horse ",
		"HOOKKEEPER_API_TOKEN="+strings.Repeat("t", 24),
		"HOOKKEEPER_AUTH=password",
		"HOOKKEEPER_AUTH_NONE_ANYWHERE=false",
		"HOOKKEEPER_TRUSTED_PROXIES=10.0.0.9/8,192.0.2.7,::ffff:172.16.0.0/108,fd00::/8",
		"HOOKKEEPER_PROXY_HEADER=Forwarded",
		"HOOKKEEPER_MAX_BODY=64MiB",
		"HOOKKEEPER_KEEP_REQUESTS=500",
		"HOOKKEEPER_KEEP_DAYS=7",
		"HOOKKEEPER_KEEP_BYTES=2 GB",
		"HOOKKEEPER_SESSION_IDLE=30m",
		"HOOKKEEPER_SESSION_MAX=12h",
		"HOOKKEEPER_MAX_CONNS_PER_ADDR=10",
		"HOOKKEEPER_MAX_SOCKETS_PER_ADDR=20",
		"HOOKKEEPER_DISK_RESERVE=5000000",
		"HOOKKEEPER_LOG=JSON",
		"HOOKKEEPER_LOG_LEVEL=debug",
		"HOOKKEEPER_DRAIN_DELAY=5s",
	)
	prefix := netip.MustParsePrefix
	got := fmt.Sprint(c.PublicURL, " ", c.CaptureOrigin, " ", c.AllowedHosts, " ", c.TrustedProxies)
	want := fmt.Sprint("https://hooks.example.com/team/a https://in.example.com:8443 [dash.example.com 10.1.2.3 fd00::1] ",
		[]netip.Prefix{prefix("10.0.0.0/8"), prefix("192.0.2.7/32"), prefix("172.16.0.0/12"), prefix("fd00::/8")})
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	rest := Config{
		Addr: ":9000", DataDir: "/var/lib/hookkeeper", ProxyHeader: "forwarded", MaxBody: 64 << 20,
		Admin:       Admin{"ann@example.com", " correct horse "},
		APIToken:    Secret(strings.Repeat("t", 24)),
		Keep:        hook.Keep{Requests: 500, Days: 7, Bytes: 2e9},
		SessionIdle: 30 * time.Minute, SessionMax: 12 * time.Hour, MaxConnsPerAddr: 10, MaxSocketsPerAddr: 20,
		DiskReserve: 5_000_000, LogFormat: "json", LogLevel: slog.LevelDebug, DrainDelay: 5 * time.Second,
	}
	ignore := cmpopts.IgnoreFields(Config{}, "PublicURL", "CaptureOrigin", "AllowedHosts", "TrustedProxies", "AllowTargets", "SecretKey", "effective")
	if diff := cmp.Diff(rest, c, ignore); diff != "" {
		t.Error(diff)
	}
}

func TestFlagWinsOverVariable(t *testing.T) {
	c, err := Load(Settings{MaxBody: "1MiB"}, []string{"HOOKKEEPER_MAX_BODY=nonsense", "HOOKKEEPER_KEEP_DAYS= "})
	if err != nil || c.MaxBody != 1<<20 || c.Keep.Days != 30 {
		t.Errorf("got %d bytes, %d days, %v", c.MaxBody, c.Keep.Days, err)
	}
}

// Every setting of the struct is read, checked and reported under its variable, all of them at once.
func TestEveryMistakeAtOnce(t *testing.T) {
	takesAnyText := map[string]bool{"HOOKKEEPER_DATA": true}
	var environ, want []string
	new(Settings).fields(func(flag string, _ reflect.StructTag, _ *string) {
		if variable := Variable(flag); !takesAnyText[variable] {
			environ = append(environ, variable+"=\x00 no such / value")
			want = append(want, variable)
		}
	})
	_, err := Load(Settings{}, environ)
	got := map[string]bool{}
	found, _ := errors.AsType[Problems](err)
	for _, p := range found {
		got[p.Variable] = true
		if p.Message == "" || strings.Contains(err.Error(), "%!") {
			t.Errorf("%s: bad message %q", p.Variable, p.Message)
		}
	}
	for _, variable := range want {
		if !got[variable] {
			t.Errorf("%s: its mistake was not reported", variable)
		}
	}
	if lines := strings.Split(err.Error(), "\n"); len(lines) != len(found) {
		t.Errorf("%d lines for %d problems", len(lines), len(found))
	}
}

func TestMistakes(t *testing.T) {
	password := "HOOKKEEPER_ADMIN_PASSWORD=correct horse"
	email := "HOOKKEEPER_ADMIN_EMAIL=ann@example.com"
	tests := []struct {
		environ string // separated by |
		want    string // a part of the only problem; "" for none
	}{
		{"ADDR=8080", `ADDR: "8080" is not an address; use host:port`},
		{"ADDR=::1:8080", "ADDR: \"::1:8080\" is not an address; an IPv6 address needs brackets"},
		{"ADDR=[::1]:8080", ""},
		{"ADDR=localhost:http", "ADDR: \"localhost:http\" has no port from 0 to 65535"},
		{"ADDR=localhost:65536", "has no port"},
		{"ADDR=a b:80", "has no valid host"},
		{"ADDR=127.0.0.1:0", ""},

		{"PUBLIC_URL=hooks.example.com", "starts with http:// or https://"},
		{"PUBLIC_URL=ftp://hooks.example.com", "starts with http:// or https://"},
		{"PUBLIC_URL=https://", "has no valid host name"},
		{"PUBLIC_URL=https://a_b.example.com", ""},
		{"PUBLIC_URL=https://a'b", "has no valid host name"},
		{"PUBLIC_URL=https://münchen.example", "has no valid host name"},
		{"PUBLIC_URL=https://127.1", "has no valid host name"},
		{"PUBLIC_URL=https://256.0.0.1", "has no valid host name"},
		{"PUBLIC_URL=https://" + strings.Repeat("a", 64) + ".com", "has no valid host name"},
		{"PUBLIC_URL=https://" + strings.Repeat("a.", 127) + "com", "has no valid host name"},
		{"PUBLIC_URL=https://ann:pw@hooks.example.com", "contains a user name or a password"},
		{"PUBLIC_URL=https://hooks.example.com:0", "port that is not from 1"},
		{"PUBLIC_URL=https://hooks.example.com:70000", "port that is not from 1"},
		{"PUBLIC_URL=https://hooks.example.com/?a", "query or a fragment"},
		{"PUBLIC_URL=https://hooks.example.com?", "query or a fragment"},
		{"PUBLIC_URL=https://hooks.example.com/#x", "query or a fragment"},
		{"PUBLIC_URL=https://hooks.example.com#", "query or a fragment"},
		{"PUBLIC_URL=https://hooks.example.com/a//b", "path that is not plain"},
		{"PUBLIC_URL=https://hooks.example.com/a/../b", "path that is not plain"},
		{"PUBLIC_URL=https://hooks.example.com/a%2Fb", "path that is not plain"},
		{"PUBLIC_URL=https://hooks.example.com/a%20b", "path that is not plain"},
		{"PUBLIC_URL=https://hooks.example.com/in/x", "starts with /in"},
		{"PUBLIC_URL=https://hooks.example.com/inner", ""},
		{"PUBLIC_URL=http://[::1]:80", ""},

		{"ALLOWED_HOSTS=a.example,,b.example,", ""},
		{"ALLOWED_HOSTS=*.example.com", "wildcard"},
		{"ALLOWED_HOSTS=https://a.example", "leave out the scheme"},
		{"ALLOWED_HOSTS=a.example:8080", "leave out the port"},
		{"ALLOWED_HOSTS=[::1]:80", "leave out the port"},
		{"ALLOWED_HOSTS=ä.example", "not a host name"},

		{"CAPTURE_ORIGIN=https://in.example.com/x", "has a path"},
		{"CAPTURE_ORIGIN=http://LOCALHOST.:9090", "host name of the dashboard, and another port alone"},
		{"CAPTURE_ORIGIN=http://localhost:9090|ADDR=:8080", "host name of the dashboard"},
		{"CAPTURE_ORIGIN=http://localhost:9090|ADDR=[::]:8080", "host name of the dashboard"},
		{"CAPTURE_ORIGIN=http://in.localhost:8080", ""},
		{"CAPTURE_ORIGIN=https://a.example|PUBLIC_URL=https://A.example:8443", "host name of the dashboard"},
		{"CAPTURE_ORIGIN=https://a.example|PUBLIC_URL=https://b.example|ALLOWED_HOSTS=a.example", "host name of the dashboard"},
		{"CAPTURE_ORIGIN=https://localhost|PUBLIC_URL=https://b.example", ""},
		{"CAPTURE_ORIGIN=http://127.0.0.2:8080|ADDR=127.0.0.1:8080", ""},
		{"CAPTURE_ORIGIN=http://127.0.0.1:8081|ADDR=127.0.0.1:8080", "host name of the dashboard"},

		{email, "ADMIN_PASSWORD: is missing"},
		{password, "ADMIN_EMAIL: is missing"},
		{email + "|" + password, ""},
		{"ADMIN_EMAIL=ann|" + password, "ADMIN_EMAIL: is not an e-mail address"},
		{email + "|ADMIN_PASSWORD=short", "ADMIN_PASSWORD: must have at least 10 characters"},
		{"API_TOKEN=" + strings.Repeat("x", 24), ""},
		{"API_TOKEN=" + strings.Repeat("x", 23), "24 to 256 printable"},
		{"API_TOKEN=" + strings.Repeat("x", 257), "24 to 256 printable"},
		{"API_TOKEN=" + strings.Repeat("x", 256), ""},
		{"API_TOKEN=" + strings.Repeat("é", 24), "24 to 256 printable"},
		{"API_TOKEN=" + strings.Repeat("x y", 24), "no spaces"},

		{"AUTH=None", ""},
		{"AUTH=off", `AUTH: "off" is not known; use password or none`},
		{"AUTH=none|ADDR=:8080", "ADDR: must be a loopback address"},
		{"AUTH=none|ADDR=192.168.1.2:8080", "ADDR: must be a loopback address"},
		{"AUTH=none|ADDR=[::ffff:127.0.0.1]:8080", ""},
		{"AUTH=none|ADDR=127.9.9.9:8080", ""},
		{"AUTH=none|ADDR=dev.localhost:8080", ""},
		{"AUTH=none|ADDR=notlocalhost:8080", "ADDR: must be a loopback address"},
		{"AUTH=none|PUBLIC_URL=https://a.example", "PUBLIC_URL: must have a loopback host"},
		{"AUTH=none|PUBLIC_URL=http://[::1]:8080", ""},
		{"AUTH=none|TRUSTED_PROXIES=127.0.0.1", "TRUSTED_PROXIES: must be unset"},
		{"AUTH=none|ADDR=:8080|PUBLIC_URL=https://a.example|TRUSTED_PROXIES=10.0.0.1|AUTH_NONE_ANYWHERE=true", ""},
		{"AUTH_NONE_ANYWHERE=yes", "use true or false"},

		{"TRUSTED_PROXIES=proxy", "neither a CIDR"},
		{"TRUSTED_PROXIES=10.0.0.0/33", "neither a CIDR"},
		{"TRUSTED_PROXIES=0.0.0.0/0", "would believe everybody"},
		{"TRUSTED_PROXIES=::/0", "would believe everybody"},
		{"TRUSTED_PROXIES=::ffff:0:0/96", "would believe everybody"},
		{"PROXY_HEADER=x-real-ip", "use x-forwarded-for or forwarded"},

		{"MAX_BODY=0", "out of range; use 1 to 64MiB"},
		{"MAX_BODY=65MiB", "out of range; use 1 to 64MiB"},
		{"MAX_BODY=67108865", "out of range"},
		{"MAX_BODY=10M", "is not a size"},
		{"MAX_BODY=1.5MiB", "is not a size"},
		{"MAX_BODY=-1", "is not a size"},
		{"MAX_BODY=MiB", "is not a size"},
		{"MAX_BODY=99999999999999999999", "out of range"},
		{"KEEP_BYTES=9999999TiB", "out of range; use 1MiB to 1024TiB"},
		{"KEEP_BYTES=16777217TiB", "out of range"}, // 2^64 bytes and one TiB
		{"KEEP_BYTES=1023KiB", "out of range"},
		{"KEEP_REQUESTS=0", "is not a number from 1 to 1000000000"},
		{"KEEP_REQUESTS=1e3", "is not a number"},
		{"KEEP_DAYS=36501", "is not a number from 1 to 36500"},
		{"DISK_RESERVE=0", ""},
		{"DISK_RESERVE=Auto", ""},
		{"DISK_RESERVE=5%", "is not a size"},
		{"MAX_CONNS_PER_ADDR=10001", "is not a number from 1 to 10000"},
		{"MAX_SOCKETS_PER_ADDR=0", "is not a number from 1 to 10000"},

		{"SESSION_IDLE=3600", "use a number with a unit"},
		{"SESSION_IDLE=30s", "out of range; use 1m to 9600h"},
		{"SESSION_MAX=9601h", "out of range; use 1m to 9600h"},
		{"SESSION_IDLE=25h|SESSION_MAX=24h", "SESSION_IDLE: is longer than HOOKKEEPER_SESSION_MAX (24h)"},
		{"DRAIN_DELAY=0", ""},
		{"DRAIN_DELAY=-1s", "out of range; use 0s to 1h"},
		{"LOG=xml", "use auto, text or json"},
		{"LOG_LEVEL=INFO", ""},
		{"LOG_LEVEL=info+2", "use debug, info, warn or error"},

		{"MAX_BODDY=1MiB", "MAX_BODDY: is not a setting; did you mean HOOKKEEPER_MAX_BODY?"},
		{"CAPTURE_ORIGINS=", "did you mean HOOKKEEPER_CAPTURE_ORIGIN?"},
		{"API_TOKEN_FLIE=x", "did you mean HOOKKEEPER_API_TOKEN_FILE?"},
		{"SOMETHING_ELSE=1", "is not a setting; remove it"},
		{"PORT=8080", "PORT: is not a setting"},
		{"PORT=tcp://10.96.0.1:8080", ""},
		{"SERVICE_HOST=10.96.0.1|SERVICE_PORT=80|SERVICE_PORT_HTTP=80|PORT_80_TCP_ADDR=10.96.0.1|PORT_80_TCP=tcp://10.96.0.1:80", ""},
		{"WEB_SERVICE_HOST=10.96.0.1|WEB_PORT_80_TCP_PROTO=tcp", ""},
	}
	for _, test := range tests {
		var environ []string
		for variable := range strings.SplitSeq(test.environ, "|") {
			environ = append(environ, variablePrefix+strings.TrimPrefix(variable, variablePrefix))
		}
		got := problems(t, environ...)
		switch {
		case test.want == "" && len(got) > 0:
			t.Errorf("%s: got %q, want no problem", test.environ, got)
		case test.want != "" && (len(got) != 1 || !strings.Contains(got[0], test.want)):
			t.Errorf("%s: got %q, want one with %q", test.environ, got, test.want)
		}
	}
}

func TestSecretsFromFiles(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	password := file("password", " correct horse \r\n")
	empty, big := file("empty", "\n"), file("big", strings.Repeat("x", 1<<17))
	const email = "HOOKKEEPER_ADMIN_EMAIL=ann@example.com"

	c, err := Load(Settings{AdminPasswordFile: password}, []string{email})
	if err != nil || c.Admin.Password != " correct horse " {
		t.Errorf("from the flag: got %q, %v", string(c.Admin.Password), err)
	}
	c = load(t, email, "HOOKKEEPER_ADMIN_PASSWORD_FILE="+password)
	if c.Admin.Password != " correct horse " {
		t.Errorf("from the variable: got %q", string(c.Admin.Password))
	}

	for _, test := range []struct{ variable, want string }{
		{"HOOKKEEPER_ADMIN_PASSWORD_FILE=" + filepath.Join(dir, "none"), "ADMIN_PASSWORD_FILE: there is no file"},
		{"HOOKKEEPER_ADMIN_PASSWORD_FILE=" + dir, "ADMIN_PASSWORD_FILE: read " + dir},
		{"HOOKKEEPER_ADMIN_PASSWORD_FILE=" + empty, "is empty"},
		{"HOOKKEEPER_ADMIN_PASSWORD_FILE=" + big, "is larger than 65536 bytes"},
	} {
		got := problems(t, email, test.variable)
		if len(got) != 1 || !strings.Contains(got[0], test.want) {
			t.Errorf("%s: got %q, want one with %q", test.variable, got, test.want)
		}
	}
	got := problems(t, email, "HOOKKEEPER_ADMIN_PASSWORD=correct horse", "HOOKKEEPER_ADMIN_PASSWORD_FILE="+password)
	want := []string{"ADMIN_PASSWORD: is set, and so is HOOKKEEPER_ADMIN_PASSWORD_FILE; keep one of them"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// However a configuration or its mistakes are printed, no secret is in the text.
func TestSecretsAreNeverPrinted(t *testing.T) {
	const password, token = "planted-password", "planted-token-0123456789"
	c := load(t, "HOOKKEEPER_ADMIN_EMAIL=ann@example.com", "HOOKKEEPER_ADMIN_PASSWORD="+password, "HOOKKEEPER_API_TOKEN="+token)
	var log bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	logger.LogAttrs(t.Context(), slog.LevelInfo, "settings", c.LogAttrs()...)
	logger.Info("config", "config", c, "token", c.APIToken)
	encoded, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	_, mistakes := Load(Settings{}, []string{
		"HOOKKEEPER_ADMIN_PASSWORD=planted-p", "HOOKKEEPER_API_TOKEN=planted-token-",
		"HOOKKEEPER_PUBLIC_URL=https://ann:planted-url@ho st",
	})
	printed := fmt.Sprintf("%v %+v %#v %s %v %s", c, c, c, encoded, mistakes, log.String())
	if i := strings.Index(printed, "planted"); i >= 0 {
		t.Errorf("a secret was printed: …%s…", printed[max(0, i-40):i+20])
	}
	if Secret("").String() != "" || Secret("x").String() == "" {
		t.Error("an unset secret must look different from a set one")
	}
}

func TestLogAttrsHaveEverySetting(t *testing.T) {
	c := load(t, "HOOKKEEPER_MAX_BODY=1MiB", "HOOKKEEPER_ADMIN_EMAIL=ann@example.com", "HOOKKEEPER_ADMIN_PASSWORD=correct horse")
	got := map[string]string{}
	for _, attr := range c.LogAttrs() {
		got[attr.Key] = attr.Value.Resolve().String()
	}
	for key, want := range map[string]string{"max-body": "1MiB", "addr": "localhost:8080", "keep-days": "30", "admin-password": "••••"} {
		if got[key] != want {
			t.Errorf("%s: got %q, want %q", key, got[key], want)
		}
	}
	if _, there := got["public-url"]; there {
		t.Error("a setting without a value was logged")
	}
}

func TestDistance(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abc", 0}, {"abc", "axc", 1}, {"abc", "ac", 1}, {"kitten", "sitting", 3}} {
		if got := distance(test.a, test.b); got != test.want {
			t.Errorf("distance(%q, %q) = %d, want %d", test.a, test.b, got, test.want)
		}
	}
}

func TestLocalURL(t *testing.T) {
	for addr, want := range map[string]string{
		":8080":          "http://localhost:8080",
		"0.0.0.0:80":     "http://localhost:80",
		"[::]:8080":      "http://localhost:8080",
		"localhost:8080": "http://localhost:8080",
		"[::1]:8080":     "http://[::1]:8080",
		"10.1.2.3:8080":  "http://10.1.2.3:8080",
	} {
		if got := LocalURL(addr); got != want {
			t.Errorf("LocalURL(%q) = %q, want %q", addr, got, want)
		}
	}
}
