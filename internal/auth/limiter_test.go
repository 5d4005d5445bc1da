package auth

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

var home = netip.MustParseAddr("198.51.100.7")

// address returns the i-th of many IPv4 addresses.
func address(i int) netip.Addr {
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, 0x0b000000+uint32(i))))
}

// login tries to log in and returns how long that took; ok is false when it was refused.
func login(t *testing.T, l *Limiter, account string, addr netip.Addr, known, right bool) (took time.Duration, ok bool) {
	t.Helper()
	start := time.Now()
	succeeded, err := l.Login(t.Context(), account, addr, known)
	if err != nil {
		if !hook.Is(err, hook.RateLimited) {
			t.Fatal(err)
		}
		return 0, false
	}
	if right {
		succeeded()
	}
	return time.Since(start), true
}

func TestAccountFromOneAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter()
		for i := range hook.LoginFailures {
			if took, ok := login(t, l, "Ann@example.com", home, false, false); !ok || took > 0 {
				t.Fatalf("attempt %d: took %s, ok %t", i+1, took, ok)
			}
			time.Sleep(time.Second)
		}
		_, err := l.Login(t.Context(), "ann@EXAMPLE.com", home, true)
		retry, ok := errors.AsType[*RetryError](err)
		if want := hook.LoginWindow - hook.LoginFailures*time.Second; !ok || retry.After != want || !hook.Is(err, hook.RateLimited) {
			t.Fatalf("got %v, want a refusal for %s", err, want)
		}
		if e, _ := errors.AsType[*hook.Error](err); e.Message != "Too many wrong passwords from your address. Try again in 10 minutes." {
			t.Errorf("message %q", e.Message)
		}
		if _, ok := login(t, l, "bob@example.com", home, false, false); !ok {
			t.Error("another account is refused as well")
		}
		time.Sleep(retry.After - 1)
		if _, ok := login(t, l, "ann@example.com", home, false, false); ok {
			t.Error("allowed before the window was over")
		}
		time.Sleep(time.Nanosecond)
		if took, ok := login(t, l, "ann@example.com", home, false, false); !ok || took > 0 {
			t.Errorf("after the window: took %s, ok %t", took, ok)
		}
	})
}

func TestRightPasswordForgetsTheWrongOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter()
		for range 20 { // 180 wrong ones in all, over a time in which 50 of one address may be
			for range hook.LoginFailures - 1 {
				if _, ok := login(t, l, "ann@example.com", home, true, false); !ok {
					t.Fatal("refused")
				}
			}
			if _, ok := login(t, l, "ann@example.com", home, true, true); !ok {
				t.Fatal("refused with the right password")
			}
			time.Sleep(hook.LoginWindow / 4)
		}
		if n := l.counters[key{rule: addressAlone, network: network(home)}].count; n == 0 {
			t.Error("the address's failures were forgotten")
		}
	})
}

func TestManyAtOnceAreNoWayAround(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter()
		results := make(chan error)
		for range 200 {
			go func() {
				_, err := l.Login(t.Context(), "ann@example.com", home, false)
				results <- err
			}()
		}
		allowed := 0
		for range 200 {
			if err := <-results; err == nil {
				allowed++
			}
		}
		if allowed != hook.LoginFailures {
			t.Errorf("%d of 200 logins at once were looked at, want %d", allowed, hook.LoginFailures)
		}
	})
}

func TestOneAddressManyAccounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter()
		network64 := netip.MustParseAddr("2001:db8:1:2::")
		for i := range hook.LoginFailuresAddr {
			b := network64.As16()
			b[15] = byte(i + 1) // another address of the same /64 each time
			if _, ok := login(t, l, fmt.Sprint("user", i), netip.AddrFrom16(b), false, false); !ok {
				t.Fatalf("refused at attempt %d", i+1)
			}
		}
		if _, ok := login(t, l, "someone", netip.MustParseAddr("2001:db8:1:2:ffff::1"), false, false); ok {
			t.Error("the /64 is over its limit and was let in")
		}
		if _, ok := login(t, l, "someone", netip.MustParseAddr("2001:db8:1:3::1"), false, false); !ok {
			t.Error("another /64 was refused")
		}
		time.Sleep(hook.LoginWindow)
		if _, ok := login(t, l, "someone", network64, false, false); !ok {
			t.Error("refused after the window")
		}
	})
}

// An attacker's own account must not wash away the failures that the attacker makes on others.
func TestOwnAccountPaysForNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter()
		for i := range hook.LoginFailuresAddr {
			login(t, l, fmt.Sprint("victim", i), home, false, false)
			login(t, l, "attacker", home, false, true)
		}
		if _, ok := login(t, l, "victim", home, false, false); ok {
			t.Error("the address is over its limit and was let in")
		}
	})
}

func TestAccountIsOnlySlowedDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter()
		want := map[int]int{0: 0, 9: 0, 10: 1, 19: 1, 20: 2, 30: 4, 40: 8, 50: 16, 60: 30, 99: 30}
		for i := range 100 {
			took := delay(l.counters[key{rule: accountAlone, account: accountIn(l)}].count)
			if seconds, there := want[i]; there && took != time.Duration(seconds)*time.Second {
				t.Errorf("after %d failures: %s, want %ds", i, took, seconds)
			}
			if _, ok := login(t, l, "ann@example.com", address(i), true, false); !ok {
				t.Fatalf("failure %d from an address of its own was refused", i)
			}
		}
		if took, ok := login(t, l, "ann@example.com", home, false, false); !ok || took != maxDelay {
			t.Errorf("unknown device: took %s, ok %t", took, ok)
		}
		if took, ok := login(t, l, "ANN@example.com", home, true, false); !ok || took != 0 {
			t.Errorf("known device: took %s, ok %t", took, ok)
		}
		if took, ok := login(t, l, "bob@example.com", home, false, false); !ok || took != 0 {
			t.Errorf("another account: took %s, ok %t", took, ok)
		}
		time.Sleep(hook.LoginWindow)
		if took, _ := login(t, l, "ann@example.com", home, false, false); took != 0 {
			t.Errorf("after the window: took %s", took)
		}
	})
}

// accountIn returns the hash of the only account that the limiter has counted.
func accountIn(l *Limiter) uint64 {
	for k := range l.counters {
		if k.rule == accountAlone {
			return k.account
		}
	}
	return 0
}

func TestEndOfContextEndsTheDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter()
		for i := range 100 {
			login(t, l, "ann@example.com", address(i), true, false)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		_, err := l.Login(ctx, "ann@example.com", home, false)
		if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took != 3*time.Second {
			t.Errorf("got %v after %s", err, took)
		}
	})
}

func TestWrongTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter()
		for i := range hook.LoginFailuresAddr {
			if err := l.Token(home); err != nil {
				t.Fatalf("after %d wrong tokens: %v", i, err)
			}
			l.TokenFailed(home)
		}
		err := l.Token(netip.AddrFrom16(home.As16())) // the IPv4-mapped form
		retry, ok := errors.AsType[*RetryError](err)
		if !ok || retry.After != hook.LoginWindow || !strings.Contains(err.Error(), "wrong tokens") {
			t.Errorf("got %v", err)
		}
		if l.Token(address(1)) != nil {
			t.Error("another address is refused")
		}
		if _, ok := login(t, l, "ann@example.com", home, false, false); !ok {
			t.Error("wrong tokens must not keep people from logging in")
		}
		time.Sleep(hook.LoginWindow)
		if err := l.Token(home); err != nil {
			t.Errorf("after the window: %v", err)
		}
	})
}

// A flood of addresses and accounts takes bounded memory and does not push out those who have failed often.
func TestMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter()
		for range hook.LoginFailures {
			login(t, l, "ann@example.com", home, true, false)
		}
		for i := range 2 * maxCounters {
			l.TokenFailed(address(i))
			if len(l.counters) > maxCounters {
				t.Fatalf("%d counters", len(l.counters))
			}
		}
		if _, ok := login(t, l, "ann@example.com", home, true, false); ok {
			t.Error("the flood made the limiter forget")
		}
		time.Sleep(hook.LoginWindow)
		login(t, l, "ann@example.com", home, true, false)
		if len(l.counters) > 3 {
			t.Errorf("%d counters are left after their window", len(l.counters))
		}
	})
}

func TestWaitIsToldInMinutes(t *testing.T) {
	for wait, want := range map[time.Duration]string{time.Second: "1 minute.", time.Minute: "1 minute.", 61 * time.Second: "2 minutes."} {
		if e, _ := errors.AsType[*hook.Error](tooMany(hook.LimitLogins, "x", wait)); !strings.HasSuffix(e.Message, " "+want) {
			t.Errorf("%s: %q", wait, e.Message)
		}
	}
}
