package capture

import (
	"crypto/tls"
	"net/http"
	"slices"
	"strings"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// headerList returns headers sorted by name, the values of a name in their order, behind first when that is set.
func headerList(header http.Header, first *hook.Header) []hook.Header {
	if len(header) == 0 && first == nil {
		return nil
	}
	var room [32]string
	names := room[:0]
	for name := range header {
		names = append(names, name)
	}
	slices.Sort(names)
	list := make([]hook.Header, 0, len(names)+1)
	if first != nil {
		list = append(list, *first)
	}
	for _, name := range names {
		for _, value := range header[name] {
			list = append(list, hook.Header{Name: name, Value: value})
		}
	}
	return list
}

// cutCookies removes the cookies with the names from the Cookie headers, leaves the rest as it was sent, and reports
// whether there was one. A browser that is logged in sends them to capture URLs on the same host as well.
func cutCookies(header http.Header, names []string) bool {
	values := header["Cookie"]
	if len(values) == 0 {
		return false
	}
	removed := false
	var kept []string
	for _, value := range values {
		rest, cut := cutCookie(value, names)
		removed = removed || cut
		if !cut || strings.TrimSpace(rest) != "" {
			kept = append(kept, rest)
		}
	}
	switch {
	case !removed:
	case len(kept) == 0:
		delete(header, "Cookie")
	default:
		header["Cookie"] = kept
	}
	return removed
}

func cutCookie(value string, names []string) (rest string, cut bool) {
	pairs := strings.Split(value, ";")
	kept := slices.DeleteFunc(pairs, func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return slices.Contains(names, strings.TrimSpace(name))
	})
	if len(kept) == strings.Count(value, ";")+1 {
		return value, false
	}
	return strings.TrimLeft(strings.Join(kept, ";"), " "), true
}

func isChunked(r *http.Request) bool {
	return len(r.TransferEncoding) > 0 && r.TransferEncoding[0] == "chunked"
}

func tlsVersion(version uint16) string {
	switch version {
	case tls.VersionTLS12:
		return "TLS 1.2"
	case tls.VersionTLS13:
		return "TLS 1.3"
	}
	return tls.VersionName(version)
}
