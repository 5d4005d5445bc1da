package hook

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
)

// ValidateTargetURL judges the form of a URL that requests are delivered to; nil when it is one. Whether its host may be
// reached is for package egress.
func ValidateTargetURL(target string) error {
	if len(target) > MaxTargetURL {
		return errors.New("is longer than " + strconv.Itoa(MaxTargetURL) + " bytes")
	}
	if strings.ContainsFunc(target, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return errors.New("contains a space or a control character")
	}
	u, err := url.Parse(target)
	switch {
	case err != nil:
		return errors.New("is not a URL: write it like https://example.com/webhooks")
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("must start with http:// or https://")
	case u.User != nil:
		return errors.New("must not contain a user name or password: use a header instead")
	case u.Hostname() == "" || u.Opaque != "":
		return errors.New("names no host: write it like https://example.com/webhooks")
	case strings.Contains(target, "#"):
		return errors.New("must not contain a fragment (#): it would not be sent")
	case strings.HasSuffix(u.Host, ":"):
		return errors.New("has no port behind the colon")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n > 65535 {
			return errors.New("has a port that is no number up to 65535")
		}
	}
	return nil
}
