package config

import (
	"log/slog"
	"reflect"
	"slices"
	"strings"
)

// Settings is every setting as text, as an operator wrote it. The command line parser fills it from the struct tags:
// name is the flag, from which the variable follows (see Variable), unset the value of a setting that nobody gave.
// An empty field was not given.
//
// The admin's password, the API token and the key of secrets are no fields: they come from a variable or a file, because every user of a
// machine can read the command lines of its processes.
type Settings struct {
	Addr          string `name:"addr" unset:"localhost:8080" placeholder:"HOST:PORT" group:"serving" help:"Where to listen. Without a host, on every interface."`
	Data          string `name:"data" unset:"data" placeholder:"DIR" group:"serving" help:"Directory of the database, the lock and the set-up link. Created with mode 0700."`
	PublicURL     string `name:"public-url" placeholder:"URL" group:"serving" help:"The address that people reach, for links and the Origin check. May have a sub-path. Unset: the request's own host."`
	AllowedHosts  string `name:"allowed-hosts" placeholder:"NAME,…" group:"serving" help:"More host names that the dashboard answers to."`
	CaptureOrigin string `name:"capture-origin" placeholder:"ORIGIN" group:"serving" help:"Another host name for capture URLs, so that their answers never share the dashboard's origin or cookies."`
	DrainDelay    string `name:"drain-delay" unset:"0s" placeholder:"TIME" group:"serving" help:"After SIGTERM, how long to go on taking requests while /readyz already fails."`

	AdminEmail        string `name:"admin-email" placeholder:"EMAIL" group:"accounts" help:"Create this admin while there is no user yet. The password comes from HOOKKEEPER_ADMIN_PASSWORD or a file."`
	AdminPasswordFile string `name:"admin-password-file" placeholder:"FILE" group:"accounts" help:"File with that admin's password."`
	APITokenFile      string `name:"api-token-file" placeholder:"FILE" group:"accounts" help:"File with an API token of that admin, 24 to 256 printable characters. Or HOOKKEEPER_API_TOKEN."`
	Auth              string `name:"auth" unset:"password" placeholder:"password|none" group:"accounts" help:"none: one local user and no login, on a loopback address only."`
	AuthNoneAnywhere  string `name:"auth-none-anywhere" unset:"false" placeholder:"true|false" group:"accounts" help:"true: no login on other addresses as well. Whoever reaches the server then owns it."`
	SessionIdle       string `name:"session-idle" unset:"24h" placeholder:"TIME" group:"accounts" help:"A session ends when it was not used for this long."`
	SessionMax        string `name:"session-max" unset:"720h" placeholder:"TIME" group:"accounts" help:"A session ends this long after the login."`

	MaxBody      string `name:"max-body" unset:"10MiB" placeholder:"SIZE" group:"capturing" help:"Largest body that is captured, at most 64MiB."`
	KeepRequests string `name:"keep-requests" unset:"10000" placeholder:"NUMBER" group:"capturing" help:"Requests that a capture URL keeps unless it says otherwise."`
	KeepDays     string `name:"keep-days" unset:"30" placeholder:"NUMBER" group:"capturing" help:"Days that it keeps them."`
	KeepBytes    string `name:"keep-bytes" unset:"1GiB" placeholder:"SIZE" group:"capturing" help:"Bytes that it keeps."`
	DiskReserve  string `name:"disk-reserve" unset:"auto" placeholder:"SIZE" group:"capturing" help:"Below this much free space senders get 503. auto: 256MiB, or 5 % of the volume if that is less."`

	TrustedProxies    string `name:"trusted-proxies" placeholder:"CIDR,…" group:"network" help:"Proxies whose forwarding header is believed."`
	ProxyHeader       string `name:"proxy-header" unset:"x-forwarded-for" placeholder:"HEADER" group:"network" help:"The forwarding header that is believed: x-forwarded-for or forwarded."`
	MaxConnsPerAddr   string `name:"max-conns-per-addr" unset:"2000" placeholder:"NUMBER" group:"network" help:"Open connections of one address; loopback and trusted proxies are free."`
	MaxSocketsPerAddr string `name:"max-sockets-per-addr" unset:"2000" placeholder:"NUMBER" group:"network" help:"Open live views of one address; loopback and trusted proxies are free."`

	AllowTargets  string `name:"allow-targets" placeholder:"CIDR,HOST:PORT,…" group:"delivering" help:"Private targets that deliveries may reach: 10.0.0.0/8, 10.1.2.3:8080, shop.internal. Everything else private is refused."`
	AlertURL      string `name:"alert-url" placeholder:"URL" group:"delivering" help:"Gets a signed POST when a subscription goes down, recovers or is disabled, and when requests cannot be stored."`
	SecretKeyFile string `name:"secret-key-file" placeholder:"FILE" group:"delivering" help:"File with the key, 32 bytes in base64, that encrypts secrets at rest. Or HOOKKEEPER_SECRET_KEY. Unset: secret.key in the data directory, made at the first start."`

	Log      string `name:"log" unset:"auto" placeholder:"text|json" group:"logging" help:"Form of the log. auto: text on a terminal, else json."`
	LogLevel string `name:"log-level" unset:"info" placeholder:"LEVEL" group:"logging" help:"Least level that is logged: debug, info, warn or error."`
}

const variablePrefix = "HOOKKEEPER_"

// The secrets, which have no flag.
const (
	adminPassword = "HOOKKEEPER_ADMIN_PASSWORD"
	apiToken      = "HOOKKEEPER_API_TOKEN"
	secretKey     = "HOOKKEEPER_SECRET_KEY"
)

// Variable returns the environment variable of the flag with the name: HOOKKEEPER_MAX_BODY of max-body.
func Variable(flag string) string {
	return variablePrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// fields calls f for each setting with its flag, the tag and a pointer to its text.
func (s *Settings) fields(f func(flag string, tag reflect.StructTag, text *string)) {
	v := reflect.ValueOf(s).Elem()
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag
		f(tag.Get("name"), tag, v.Field(i).Addr().Interface().(*string))
	}
}

// merge fills what the command line left open: from the environment, else with the value of an unset setting.
func (s *Settings) merge(env map[string]string) {
	s.fields(func(flag string, tag reflect.StructTag, text *string) {
		for _, candidate := range []string{*text, env[Variable(flag)], tag.Get("unset")} {
			if *text = strings.TrimSpace(candidate); *text != "" {
				return
			}
		}
	})
}

// attrs returns the settings that have a value, under the flags' names.
func (s Settings) attrs() (attrs []slog.Attr) {
	s.fields(func(flag string, _ reflect.StructTag, text *string) {
		if *text != "" {
			attrs = append(attrs, slog.String(flag, *text))
		}
	})
	return attrs
}

// IsSetting reports whether the flag is one of the settings, so that Variable names a variable that is read.
func IsSetting(flag string) bool { return slices.Contains(known(), Variable(flag)) }
