// Package config reads the settings of a Hookkeeper process.
//
// A setting is text on the command line (--max-body), else in the environment (HOOKKEEPER_MAX_BODY), else its default.
// Load turns all of them into one typed Config or says everything that is wrong with them at once, each mistake with
// what to do about it: an operator who has to start a container again for every typo gives up. A variable that looks
// like ours and is none is a mistake as well, because a misspelt limit is a limit that does not hold.
package config

import (
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/egress"
	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/seal"
)

// Config is what the settings mean. It is only ever made whole and consistent, by Load.
type Config struct {
	Addr              string   // host:port to listen on; the host may be empty
	DataDir           string   // as given, not necessarily there yet
	PublicURL         *url.URL // lower-case host, no default port, no slash at its end; nil when unset
	AllowedHosts      []string // lower case, no ports, no brackets
	CaptureOrigin     *url.URL // scheme and host only; nil when capture URLs live on the dashboard's host
	Admin             Admin
	APIToken          Secret // "" when unset
	AuthNone          bool   // no login: everybody is one local user
	AuthNoneAnywhere  bool   // AuthNone holds for requests from other machines too
	TrustedProxies    []netip.Prefix
	ProxyHeader       string // "x-forwarded-for" or "forwarded"
	MaxBody           int64  // bytes
	Keep              hook.Keep
	SessionIdle       time.Duration
	SessionMax        time.Duration
	MaxConnsPerAddr   int
	MaxSocketsPerAddr int
	DiskReserve       int64  // bytes, AutoDiskReserve when the volume decides
	LogFormat         string // "text", "json", or "auto": text on a terminal
	LogLevel          slog.Level
	DrainDelay        time.Duration
	AllowTargets      egress.AllowList
	AlertURL          string   // "" when unset
	SecretKey         seal.Key // zero when the key is in the data directory

	effective Settings
}

// AutoDiskReserve as Config.DiskReserve stands for the smaller of 256 MiB and 5 % of the volume.
const AutoDiskReserve = -1

// Admin is the user to create while there is none; both fields are set or neither.
type Admin struct {
	Email    string
	Password Secret
}

// Secret is a text that prints as dots, wherever it is printed. Convert it to string to use it.
type Secret string

// String hides the secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "••••"
}

// GoString hides the secret from %#v.
func (s Secret) GoString() string { return s.String() }

// LogValue hides the secret from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the secret from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Problem is one mistake in the settings.
type Problem struct {
	Variable string // HOOKKEEPER_MAX_BODY; names the flag --max-body as well
	Message  string // what is wrong and what to do; never contains a secret
}

// Problems are all mistakes in the settings.
type Problems []Problem

// Error returns one line for each problem.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.Variable + ": " + problem.Message
	}
	return strings.Join(lines, "\n")
}

// Load returns the configuration of flags and environ, which has the form of os.Environ. The error is of type Problems
// and has them all.
func Load(flags Settings, environ []string) (Config, error) {
	s, p := flags, parser{env: ours(environ)}
	s.merge(p.env)
	p.refuseUnknown()
	c := Config{
		Addr:              p.address("HOOKKEEPER_ADDR", s.Addr),
		DataDir:           s.Data,
		PublicURL:         p.publicURL("HOOKKEEPER_PUBLIC_URL", s.PublicURL),
		AllowedHosts:      p.hostNames("HOOKKEEPER_ALLOWED_HOSTS", s.AllowedHosts),
		CaptureOrigin:     p.origin("HOOKKEEPER_CAPTURE_ORIGIN", s.CaptureOrigin),
		Admin:             Admin{Email: s.AdminEmail, Password: p.secret(adminPassword, s.AdminPasswordFile)},
		APIToken:          p.secret(apiToken, s.APITokenFile),
		AuthNone:          p.oneOf("HOOKKEEPER_AUTH", s.Auth, "password", "none") == "none",
		AuthNoneAnywhere:  p.oneOf("HOOKKEEPER_AUTH_NONE_ANYWHERE", s.AuthNoneAnywhere, "true", "false") == "true",
		TrustedProxies:    p.prefixes("HOOKKEEPER_TRUSTED_PROXIES", s.TrustedProxies),
		ProxyHeader:       p.oneOf("HOOKKEEPER_PROXY_HEADER", s.ProxyHeader, "x-forwarded-for", "forwarded"),
		MaxBody:           p.size("HOOKKEEPER_MAX_BODY", s.MaxBody, 1, hook.CeilingMaxBody),
		SessionIdle:       p.duration("HOOKKEEPER_SESSION_IDLE", s.SessionIdle, time.Minute, maxSession),
		SessionMax:        p.duration("HOOKKEEPER_SESSION_MAX", s.SessionMax, time.Minute, maxSession),
		MaxConnsPerAddr:   int(p.number("HOOKKEEPER_MAX_CONNS_PER_ADDR", s.MaxConnsPerAddr, 1, hook.MaxConns)),
		MaxSocketsPerAddr: int(p.number("HOOKKEEPER_MAX_SOCKETS_PER_ADDR", s.MaxSocketsPerAddr, 1, hook.MaxSockets)),
		DiskReserve:       p.diskReserve("HOOKKEEPER_DISK_RESERVE", s.DiskReserve),
		LogFormat:         p.oneOf("HOOKKEEPER_LOG", s.Log, "auto", "text", "json"),
		LogLevel:          p.logLevel("HOOKKEEPER_LOG_LEVEL", s.LogLevel),
		DrainDelay:        p.duration("HOOKKEEPER_DRAIN_DELAY", s.DrainDelay, 0, time.Hour),
		AllowTargets:      p.allowTargets("HOOKKEEPER_ALLOW_TARGETS", s.AllowTargets),
		AlertURL:          p.target("HOOKKEEPER_ALERT_URL", s.AlertURL),
		SecretKey:         p.key(secretKey, s.SecretKeyFile),
		Keep: hook.Keep{
			Requests: p.number("HOOKKEEPER_KEEP_REQUESTS", s.KeepRequests, 1, hook.MaxKeepRequests),
			Days:     p.number("HOOKKEEPER_KEEP_DAYS", s.KeepDays, 1, hook.MaxKeepDays),
			Bytes:    p.size("HOOKKEEPER_KEEP_BYTES", s.KeepBytes, hook.MinKeepBytes, hook.MaxKeepBytes),
		},
		effective: s,
	}
	p.checkAdmin(c)
	p.checkAuthNone(c)
	p.checkCaptureOrigin(c)
	p.checkSessions(c)
	if len(p.problems) > 0 {
		return Config{}, p.problems
	}
	return c, nil
}

// maxSession is what browsers make of a longer-lived cookie: 400 days (RFC 6265bis section 5.5).
const maxSession = 400 * 24 * time.Hour

// LogAttrs returns the settings in force for the log, secrets hidden.
func (c Config) LogAttrs() []slog.Attr {
	attrs := c.effective.attrs()
	if c.Admin.Password != "" {
		attrs = append(attrs, slog.Any("admin-password", c.Admin.Password))
	}
	if c.APIToken != "" {
		attrs = append(attrs, slog.Any("api-token", c.APIToken))
	}
	if c.SecretKey != (seal.Key{}) {
		attrs = append(attrs, slog.Any("secret-key", c.SecretKey))
	}
	return attrs
}

// LocalURL returns the address under which a process on this machine reaches a server that listens on addr: by name where
// that is every interface.
func LocalURL(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "http://" + addr
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}
