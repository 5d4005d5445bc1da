package config

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// The checks of settings that only make sense together. Each is silent where a setting it needs is wrong already.

func (p *parser) checkAdmin(c Config) {
	if c.Admin.Email != "" {
		p.check("HOOKKEEPER_ADMIN_EMAIL", hook.ValidateEmail(c.Admin.Email))
	}
	if c.Admin.Password != "" {
		p.check(adminPassword, hook.ValidatePassword(string(c.Admin.Password)))
	}
	badPassword := p.failed(adminPassword) || p.failed(adminPassword+"_FILE")
	switch {
	case c.Admin.Email == "" && c.Admin.Password != "":
		p.fail("HOOKKEEPER_ADMIN_EMAIL", "is missing; set it to the e-mail address of the admin with that password")
	case c.Admin.Email != "" && c.Admin.Password == "" && !badPassword:
		p.fail(adminPassword, "is missing; set it, or %s_FILE, to the password of that admin", adminPassword)
	}
	p.checkAPIToken(c)
}

func (p *parser) checkAPIToken(c Config) {
	token := string(c.APIToken)
	if token == "" {
		return
	}
	if len(token) < hook.MinAPIToken || len(token) > hook.MaxAPIToken || strings.ContainsFunc(token, notInToken) {
		p.fail(apiToken, "must have %d to %d printable ASCII characters and no spaces; make one with: openssl rand -hex 32",
			hook.MinAPIToken, hook.MaxAPIToken)
	}
}

func notInToken(r rune) bool { return r <= ' ' || r > '~' }

// check adds the mistakes that a rule of the domain found.
func (p *parser) check(variable string, err error) {
	if invalid, ok := errors.AsType[*hook.Error](err); ok {
		for _, field := range invalid.Fields {
			p.fail(variable, "%s", field.Message)
		}
	}
}

func (p *parser) checkAuthNone(c Config) {
	if !c.AuthNone || c.AuthNoneAnywhere {
		return
	}
	const otherwise = "; otherwise remove HOOKKEEPER_AUTH=none, or set HOOKKEEPER_AUTH_NONE_ANYWHERE=true if everybody who " +
		"reaches the server may own it"
	if host, _, err := net.SplitHostPort(c.Addr); err == nil && !loopback(host) {
		p.fail("HOOKKEEPER_ADDR", "must be a loopback address without a login, like localhost:8080"+otherwise)
	}
	if c.PublicURL != nil && !loopback(c.PublicURL.Hostname()) {
		p.fail("HOOKKEEPER_PUBLIC_URL", "must have a loopback host without a login, like http://localhost:8080"+otherwise)
	}
	if len(c.TrustedProxies) > 0 {
		p.fail("HOOKKEEPER_TRUSTED_PROXIES", "must be unset without a login: a proxy brings requests from elsewhere"+otherwise)
	}
}

// loopback reports whether host can only mean this machine. *.localhost does so by RFC 6761 section 6.3.
func loopback(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.IsLoopback()
	}
	host = canonicalHost(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// checkCaptureOrigin makes sure that the capture host is no host of the dashboard: browsers keep cookies by host name,
// whatever the port (RFC 6265 section 8.5).
func (p *parser) checkCaptureOrigin(c Config) {
	if c.CaptureOrigin == nil || p.failed("HOOKKEEPER_PUBLIC_URL") {
		return
	}
	capture := c.CaptureOrigin.Hostname()
	if capture == dashboardHost(c.PublicURL, c.Addr) || slices.Contains(c.AllowedHosts, capture) {
		p.fail("HOOKKEEPER_CAPTURE_ORIGIN", "has a host name of the dashboard, and another port alone separates nothing, "+
			"because cookies ignore ports; use a name of its own, like https://in.example.com")
	}
}

// dashboardHost returns the host under which people open the dashboard.
func dashboardHost(public *url.URL, addr string) string {
	if public != nil {
		return public.Hostname()
	}
	u, err := url.Parse(LocalURL(addr)) // what the set-up link shows
	if err != nil {
		return ""
	}
	return canonicalHost(u.Hostname())
}

func (p *parser) checkSessions(c Config) {
	if c.SessionIdle > c.SessionMax && !p.failed("HOOKKEEPER_SESSION_IDLE") && !p.failed("HOOKKEEPER_SESSION_MAX") {
		p.fail("HOOKKEEPER_SESSION_IDLE", "is longer than HOOKKEEPER_SESSION_MAX (%s); lower it or raise the other",
			formatDuration(c.SessionMax))
	}
}
