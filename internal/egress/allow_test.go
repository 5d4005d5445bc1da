package egress

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

func TestParseAllowList(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                            "",
		" , ,":                        "",
		"10.0.0.0/8":                  "",
		"fd00::/8, 10.1.2.3":          "",
		"10.1.2.3:8080,[fd00::1]":     "",
		"[fd00::1]:8080,fd00::1":      "",
		"shop.internal, shop_1:80":    "",
		"xn--bcher-kva.example:65535": "",

		"http://10.0.0.1":     `"http://10.0.0.1" is a URL; leave out the scheme and the path`,
		"*.internal":          `"*.internal" has a wildcard; write each name out`,
		"10.0.0.0/33":         `"10.0.0.0/33" is not a range`,
		"shop.internal/x":     `"shop.internal/x" is not a range`,
		"10.0.0.0/8:80":       `"10.0.0.0/8:80" is a range with a port; write the addresses`,
		"10.1.2.3/8":          `"10.1.2.3/8" has bits behind the range; write 10.0.0.0/8`,
		"::ffff:10.0.0.0/104": `is a range of IPv4 in IPv6; write it like 10.0.0.0/8`,
		"0.0.0.0/0":           `would open every address`,
		"::/0":                `would open every address`,
		"fe80::1%eth0":        `has a zone`,
		"169.254.169.254":     `is a cloud metadata address, which is always refused; leave it out`,
		"169.254.169.254:80":  `is a cloud metadata address`,
		"::ffff:a9fe:a9fe":    `is a cloud metadata address`,
		"10.0.0.1:http":       `has no port from 0 to 65535`,
		"10.0.0.1:65536":      `has no port from 0 to 65535`,
		"shop.internal:":      `has no port from 0 to 65535`,
		"a:b:c":               `is no address; an IPv6 address with a port is written [fd00::1]:8080`,
		"[fd00::1":            `is no address`,
		"127.1":               `is an unusual spelling of an address; write 127.0.0.1`,
		"10.0.0.300":          `is neither an address nor a host name`,
		"bücher.example":      `(a name with other letters as xn--…)`,
		"a..b":                `is neither an address nor a host name`,
		".internal":           `is neither an address nor a host name`,
		":80":                 `is neither an address nor a host name`,
		"[]":                  `is neither an address nor a host name`,
		".":                   `is neither an address nor a host name`,
		"a b":                 `is neither an address nor a host name`,
	} {
		_, errs := ParseAllowList(text)
		if got := fmt.Sprint(errs); want == "" && len(errs) > 0 || want != "" && (len(errs) != 1 || !strings.Contains(got, want)) {
			t.Errorf("%q: %s, want %q", text, got, want)
		}
	}
}

func TestParseAllowListTellsAllMistakes(t *testing.T) {
	t.Parallel()
	list, errs := ParseAllowList("10.0.0.1,*.a,10.0.0.2,0.0.0.0/0,b c")
	if len(errs) != 3 || len(list.entries) != 2 {
		t.Errorf("%d entries, %v", len(list.entries), errs)
	}
}

func FuzzAllowList(f *testing.F) {
	for _, text := range []string{everything, "10.1.2.3:8080,[fd00::1]:8080", "shop.internal:80,a.b", "127.1,*,::/0,:,[", "[::1%lo]:1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, errs := ParseAllowList(text)
		if parts := strings.Count(text, ",") + 1; len(list.entries)+len(errs) > parts {
			t.Errorf("%q: %d entries and %d errors of %d parts", text, len(list.entries), len(errs), parts)
		}
		for _, e := range list.entries {
			if e.name != "" == e.prefix.IsValid() || e.name != canonical(e.name) || e.port < anyPort || e.port > 65535 {
				t.Errorf("%q: entry %+v", text, e)
			}
		}
		for _, addr := range metadata {
			if list.judge("", addr, 80) == nil {
				t.Errorf("%q opens %s", text, addr)
			}
		}
		if len(list.entries) == 0 && list.judge("", netip.MustParseAddr("10.0.0.1"), 80) == nil {
			t.Errorf("%q opens a private address", text)
		}
	})
}
