package auth

import (
	"context"
	"fmt"
	"hash/maphash"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// Limiter counts wrong passwords and tokens, so that nobody can try them all and nobody can lock somebody else out:
//
//   - An account from one address: after hook.LoginFailures wrong passwords, no more logins until the window of
//     hook.LoginWindow, which starts with the first, is over. A right password forgets them.
//   - One address, whatever the account: the same after hook.LoginFailuresAddr. A right password takes nothing back but
//     its own attempt, or an attacker's own account would pay for the rest.
//   - An account, whatever the address: every login waits, 1 s after hook.LoginFailures wrong passwords and twice as long
//     after each further ten, up to 30 s. It is never refused, because anybody can type wrong passwords for any account.
//     A known device does not wait: a browser that brings the secret (NewSecret) it was given when it last logged in to
//     this very account. So the account's owner feels nothing of an attack.
//   - Tokens from one address: after hook.LoginFailuresAddr wrong ones, none is looked at until the window is over.
//
// An address is a single one for IPv4 and the /64 for IPv6, the least that one customer of a provider has. Attempts count
// from their beginning, so that many at once are no way around. Accounts need not exist: an unknown one is counted and
// slowed like any other. Memory is bounded by maxCounters; a flood of addresses pushes out the smallest counts first. A
// restart forgets everything. It is safe for concurrent use.
type Limiter struct {
	seed maphash.Seed

	mu       sync.Mutex
	counters map[key]counter
	swept    time.Time // when the counters that are over were last thrown out
}

// key names a counter. Accounts are hashed: they are any text that a stranger types.
type key struct {
	rule    rule
	account uint64
	network netip.Prefix
}

type rule uint8

const (
	accountFromAddress rule = iota
	addressAlone
	accountAlone
	tokensOfAddress
)

// counter counts failures since start.
type counter struct {
	start time.Time
	count int
}

const (
	maxCounters = 100_000 // about 15 MB
	sweepEvery  = time.Minute
	firstDelay  = time.Second
	maxDelay    = 30 * time.Second
)

// NewLimiter returns a Limiter that has counted nothing.
func NewLimiter() *Limiter {
	return &Limiter{seed: maphash.MakeSeed(), counters: map[key]counter{}, swept: time.Now()}
}

// RetryError is the cause of a RateLimited error: when to come back.
type RetryError struct {
	After time.Duration
}

// Error says when to come back, for the log.
func (e *RetryError) Error() string { return fmt.Sprintf("retry after %s", e.After.Round(time.Second)) }

// Login asks to check a password of the account, counts the attempt as a failure and sleeps as long as the account is
// slowed down; the end of ctx ends that. Call succeeded when the password was right. The error is RateLimited, with a
// *RetryError as its cause, or that of ctx.
func (l *Limiter) Login(ctx context.Context, account string, addr netip.Addr, knownDevice bool) (succeeded func(), err error) {
	who := maphash.String(l.seed, strings.ToLower(account))
	pair := key{rule: accountFromAddress, account: who, network: network(addr)}
	alone, address := key{rule: accountAlone, account: who}, key{rule: addressAlone, network: network(addr)}

	failures, wait := l.begin(pair, alone, address)
	if wait > 0 {
		return nil, tooMany(hook.LimitLogins, "wrong passwords", wait)
	}
	if !knownDevice {
		if err := sleep(ctx, delay(failures)); err != nil {
			return nil, err
		}
	}
	return func() { l.succeeded(pair, alone, address) }, nil
}

// begin counts an attempt, unless one of the limits is reached: then wait is the time until it is over. failures are
// those of the account before this attempt.
func (l *Limiter) begin(pair, alone, address key) (failures int, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	wait = max(l.wait(pair, hook.LoginFailures, now), l.wait(address, hook.LoginFailuresAddr, now))
	if wait > 0 {
		return 0, wait
	}
	failures = l.get(alone, now).count
	for _, k := range []key{pair, alone, address} {
		l.add(k, now)
	}
	return failures, 0
}

// succeeded takes back what begin counted, and forgets the failures of the account from this address.
func (l *Limiter) succeeded(pair, alone, address key) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.counters, pair)
	for _, k := range []key{alone, address} {
		c := l.counters[k]
		if c.count--; c.count <= 0 {
			delete(l.counters, k)
			continue
		}
		l.counters[k] = c
	}
}

// Token asks to look at a token that came from addr: a RateLimited error, with a *RetryError as its cause, when there were
// too many wrong ones.
func (l *Limiter) Token(addr netip.Addr) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if wait := l.wait(key{rule: tokensOfAddress, network: network(addr)}, hook.LoginFailuresAddr, time.Now()); wait > 0 {
		return tooMany(hook.LimitWrongTokens, "wrong tokens", wait)
	}
	return nil
}

// TokenFailed counts a wrong token from addr.
func (l *Limiter) TokenFailed(addr netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.add(key{rule: tokensOfAddress, network: network(addr)}, time.Now())
}

// get returns a counter, zero when its window is over.
func (l *Limiter) get(k key, now time.Time) counter {
	if c := l.counters[k]; !c.over(now) {
		return c
	}
	return counter{start: now}
}

func (c counter) over(now time.Time) bool { return now.Sub(c.start) >= hook.LoginWindow }

// wait returns how long the counter stays at its limit, 0 when it is below.
func (l *Limiter) wait(k key, limit int, now time.Time) time.Duration {
	if c := l.get(k, now); c.count >= limit {
		return c.start.Add(hook.LoginWindow).Sub(now)
	}
	return 0
}

func (l *Limiter) add(k key, now time.Time) {
	l.sweep(now)
	c := l.get(k, now)
	c.count++
	if _, there := l.counters[k]; !there && len(l.counters) >= maxCounters {
		l.evict()
	}
	l.counters[k] = c
}

// sweep throws out the counters that are over, once in a while.
func (l *Limiter) sweep(now time.Time) {
	if now.Sub(l.swept) < sweepEvery {
		return
	}
	l.swept = now
	for k, c := range l.counters {
		if c.over(now) {
			delete(l.counters, k)
		}
	}
}

// evict throws out the smallest counter of a few. Maps iterate in random order, so a flood cannot choose which.
func (l *Limiter) evict() {
	const sample = 16
	var victim key
	smallest, seen := 0, 0
	for k, c := range l.counters {
		if seen == 0 || c.count < smallest {
			victim, smallest = k, c.count
		}
		if seen++; seen == sample {
			break
		}
	}
	delete(l.counters, victim)
}

// delay returns how long a login waits after failures wrong passwords for its account.
func delay(failures int) time.Duration {
	const double = 10 // failures after which the delay doubles
	if failures < hook.LoginFailures {
		return 0
	}
	doublings := min((failures-hook.LoginFailures)/double, 5)
	return min(firstDelay<<doublings, maxDelay)
}

func sleep(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// network returns what counts as one address.
func network(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	prefix, _ := addr.Prefix(bits) // the zero Prefix for no address: those are counted together
	return prefix
}

func tooMany(limit hook.Limit, what string, wait time.Duration) error {
	minutes := int((wait + time.Minute - 1) / time.Minute)
	unit := "minutes"
	if minutes == 1 {
		unit = "minute"
	}
	return &hook.Error{
		Kind:    hook.RateLimited,
		Limit:   limit,
		Message: fmt.Sprintf("Too many %s from your address. Try again in %d %s.", what, minutes, unit),
		Err:     &RetryError{After: wait},
	}
}
