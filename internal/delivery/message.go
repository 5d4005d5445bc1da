package delivery

import (
	"errors"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/signing"
)

// message is a request on its way to a target.
type message struct {
	delivery *hook.Delivery
	request  *hook.Request
	edit     *hook.Edit         // what is sent in place of the request; nil = the request
	sub      *hook.Subscription // nil for a resend to a typed URL
	signing  hook.Signing
	number   int // of the attempt
	at       time.Time
	version  string
}

func (m *message) method() string {
	switch {
	case m.edit != nil:
		return m.edit.Method
	case m.sub != nil && m.sub.Method != "":
		return m.sub.Method
	}
	return m.request.Method
}

func (m *message) body() []byte {
	if m.edit != nil && m.edit.Body != nil {
		return m.edit.Body
	}
	return m.request.Body
}

func (m *message) timeout() time.Duration {
	if m.sub == nil {
		return hook.DefaultDeliveryTimeout
	}
	return m.sub.Retry.Timeout
}

// captured returns the headers that are passed on before the rules are applied.
func (m *message) captured() []hook.Header {
	if m.edit != nil {
		return m.edit.Headers
	}
	return m.request.Headers
}

var errLeaves = errors.New("path leaves the target: it has a segment . or .. that would lead elsewhere")

// url returns where the message goes.
func (m *message) url() (string, error) {
	target := m.delivery.TargetURL
	if target == "" && m.sub != nil {
		target = m.sub.TargetURL
	}
	path, query := "", ""
	switch {
	case m.edit != nil:
		path, query = m.edit.Path, m.edit.Query
	case m.sub != nil && m.sub.AppendPath:
		path, query = m.request.SubPath(), m.request.Query
	}
	if leaves(path) {
		return target, errLeaves
	}
	base, targetQuery, hasQuery := strings.Cut(target, "?")
	if path != "" {
		base = strings.TrimSuffix(base, "/") + path
	}
	switch {
	case hasQuery && targetQuery != "" && query != "":
		return base + "?" + targetQuery + "&" + query, nil
	case query != "":
		return base + "?" + query, nil
	case hasQuery:
		return base + "?" + targetQuery, nil
	}
	return base, nil
}

// leaves reports whether a path has a segment . or .., however it is written. Targets differ in what they take for a
// separator and in how often they decode.
func leaves(path string) bool {
	lower := strings.ToLower(path)
	lower = strings.NewReplacer("%2f", "/", "%5c", "/", "\\", "/", "%2e", ".").Replace(lower)
	for segment := range strings.SplitSeq(lower, "/") {
		segment, _, _ = strings.Cut(segment, ";") // path parameters, which some servers cut off
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

// Headers that are not passed on: those of the connection (RFC 9110 section 7.6.1), what follows from the message itself, and
// what proxies on the way to us have said.
var dropped = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Proxy-Connection": true, "Proxy-Authenticate": true, "Proxy-Authorization": true,
	"Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
	"Host": true, "Content-Length": true, "Expect": true,
	"Forwarded": true, "X-Real-Ip": true,
}

// credentials are passed on only when the subscription says so.
var credentials = map[string]bool{"Authorization": true, "Cookie": true}

// headers returns what is sent, and of it what was added or changed, as it may be shown: the values of a subscription's own
// headers are secrets.
func (m *message) headers() (all, added []hook.Header, err error) {
	signature, err := signing.Headers(m.signing, m.delivery.MessageID(), m.at, m.body())
	if err != nil {
		return nil, nil, errors.New("it cannot be signed: " + err.Error())
	}
	own := append(m.about(), signature...)
	var secret []hook.Header
	if m.sub != nil {
		secret = m.sub.Headers
	}
	connection := m.connectionHeaders()
	for _, h := range m.captured() {
		name := textproto.CanonicalMIMEHeaderKey(h.Name)
		if m.passes(name) && !slices.Contains(connection, name) && !hasHeader(own, name) && !hasHeader(secret, name) {
			all = append(all, hook.Header{Name: name, Value: h.Value})
		}
	}
	added = slices.Clone(own)
	for _, h := range secret {
		name := textproto.CanonicalMIMEHeaderKey(h.Name)
		if !hasHeader(own, name) {
			all = append(all, hook.Header{Name: name, Value: h.Value})
			added = append(added, hook.Header{Name: name, Value: "••••"})
		}
	}
	return append(all, own...), added, nil
}

// about returns what Hookkeeper says of the message.
func (m *message) about() []hook.Header {
	about := []hook.Header{
		{Name: "Hookkeeper-Request-Id", Value: m.delivery.RequestID.Text(hook.RequestPrefix)},
		{Name: "Hookkeeper-Delivery-Id", Value: m.delivery.ID.Text(hook.DeliveryPrefix)},
		{Name: "Hookkeeper-Attempt", Value: strconv.Itoa(m.number)},
		{Name: "Hookkeeper-Hops", Value: strconv.Itoa(m.hops() + 1)},
	}
	if !m.hasOwnUserAgent() {
		about = append(about, hook.Header{Name: "User-Agent", Value: "Hookkeeper/" + m.version})
	}
	return about
}

// hasOwnUserAgent reports whether the User-Agent is not Hookkeeper's: the sender's is kept, or somebody has typed one into an edited copy.
func (m *message) hasOwnUserAgent() bool {
	there := slices.ContainsFunc(m.captured(), func(h hook.Header) bool { return strings.EqualFold(h.Name, "User-Agent") })
	return there && (m.edit != nil || m.sub != nil && m.sub.KeepUserAgent)
}

// hops is how often the request has been through a Hookkeeper before. An edited copy cannot lower it.
func (m *message) hops() int {
	n, err := strconv.Atoi(m.request.Header("Hookkeeper-Hops"))
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// passes reports whether a captured header is passed on. Whoever edits a request by hand chooses its credentials too.
func (m *message) passes(name string) bool {
	switch {
	case dropped[name], strings.HasPrefix(name, "Hookkeeper-"), strings.HasPrefix(name, "X-Forwarded-"):
		return false
	case credentials[name]:
		return m.edit != nil || m.sub != nil && m.sub.ForwardCredentials
	}
	return true
}

// connectionHeaders returns the names of the headers that the sender has declared to be of its connection only.
func (m *message) connectionHeaders() (names []string) {
	for _, h := range m.captured() {
		if textproto.CanonicalMIMEHeaderKey(h.Name) != "Connection" {
			continue
		}
		for token := range strings.SplitSeq(h.Value, ",") {
			names = append(names, textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(token)))
		}
	}
	return names
}

func hasHeader(headers []hook.Header, name string) bool {
	return slices.ContainsFunc(headers, func(h hook.Header) bool { return textproto.CanonicalMIMEHeaderKey(h.Name) == name })
}
