package egress

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// Setting is the name of the setting that AllowList comes from.
const Setting = "HOOKKEEPER_ALLOW_TARGETS"

// closedPorts are no places for webhooks on any address: port 0 is none, and 22 and 25 are where secure shells and mail
// servers take a request for a line of commands.
var closedPorts = []uint16{0, 22, 25}

// Refused is the error of a target that must not be reached. No attempt of the same request ends differently.
type Refused struct {
	Addr   string // the address, with the port when that is the reason
	Why    string // the rest of the sentence: "is a private address"
	Always bool   // nothing that the operator sets would change it
}

// Error returns a sentence for people, which says what would allow the target.
func (r *Refused) Error() string {
	if r.Always {
		return "refused: " + r.Addr + " " + r.Why + ", which is always refused"
	}
	return "refused: " + r.Addr + " " + r.Why + "; an operator can allow it with " + Setting
}

// judge returns why no connection to addr and port may be opened for a URL with that canonical host; nil when it may.
func (l AllowList) judge(host string, addr netip.Addr, port uint16) *Refused {
	if addr.Zone() != "" {
		return &Refused{Addr: addr.String(), Why: "is an address with a zone", Always: true}
	}
	addr = addr.Unmap()
	inner := carried(addr)
	switch kind := special(addr); {
	case isMetadata(addr):
		return &Refused{Addr: addr.String(), Why: "is a cloud metadata address", Always: true}
	case slices.ContainsFunc(inner, isMetadata):
		return &Refused{Addr: addr.String(), Why: "leads to a cloud metadata address", Always: true}
	case kind != "" && !l.opens(host, addr, port):
		return &Refused{Addr: addr.String(), Why: "is " + kind}
	}
	if len(inner) > 0 && special(inner[0]) != "" && !l.opens(host, inner[0], port) {
		return &Refused{Addr: addr.String(), Why: fmt.Sprintf("leads to %s, %s", inner[0], special(inner[0]))}
	}
	if slices.Contains(closedPorts, port) && !l.opensPort(host, addr, port) {
		return refusedPort(addr.String(), port)
	}
	return nil
}

func refusedPort(host string, port uint16) *Refused {
	digits := strconv.Itoa(int(port))
	return &Refused{Addr: net.JoinHostPort(host, digits), Why: "is on port " + digits + ", which is no place for webhooks"}
}

// Check judges a target as far as it can be judged without a lookup: its form, an address in any spelling, and a port
// that is closed everywhere. The error is a *Refused, or a plain one whose text continues "the URL …". It is nil for a
// name, which is judged when it is dialled.
func (g *Guard) Check(target string) error {
	if err := hook.ValidateTargetURL(target); err != nil {
		return err
	}
	u, err := url.Parse(target)
	if err != nil {
		return err
	}
	if refused := g.allow.judgeLiteral(canonical(u.Hostname()), portOf(u)); refused != nil {
		return refused
	}
	return nil
}

// judgeLiteral judges the addresses that a canonical host stands for; one of several that may be reached is enough.
func (l AllowList) judgeLiteral(host string, port uint16) *Refused {
	var first *Refused
	addrs := literal(host)
	for _, addr := range addrs {
		refused := l.judge(host, addr, port)
		if refused == nil {
			return nil
		}
		if first == nil {
			first = refused
		}
	}
	if len(addrs) == 0 && slices.Contains(closedPorts, port) && !l.hasPort(port) {
		return refusedPort(host, port) // whatever it resolves to
	}
	return first
}

// portOf returns the port of a valid target.
func portOf(u *url.URL) uint16 {
	if n, err := strconv.ParseUint(u.Port(), 10, 16); err == nil {
		return uint16(n)
	}
	if u.Scheme == "https" {
		return 443
	}
	return 80
}
