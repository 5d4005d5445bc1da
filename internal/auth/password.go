// Package auth makes and checks what people and programs prove themselves with: passwords, API tokens, one-time links.
//
// Passwords are few and weak, so each is hashed by argon2id at a price in memory and time, only a few at once, and
// wrong ones are counted (Limiter). Tokens are random and long, so a plain SHA-256 is enough to store them. The package
// knows no database and no HTTP: it is given what is stored and says whether it fits.
package auth

import (
	"context"
	"encoding/base64"
	"fmt"
	"runtime"

	"github.com/alexedwards/argon2id"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// params are those of OWASP's Password Storage Cheat Sheet for argon2id: 19 MiB, two passes, one lane.
var params = &argon2id.Params{Memory: 19 << 10, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// nobody is a hash with our parameters that no password has: verifying against it takes as long as against any other.
var nobody = fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", params.Memory, params.Iterations, params.Parallelism,
	base64.RawStdEncoding.EncodeToString(make([]byte, params.SaltLength)),
	base64.RawStdEncoding.EncodeToString(make([]byte, params.KeyLength)))

// Hasher hashes passwords, at most hook.MaxParallelHashes at a time: a hundred logins at once would otherwise take 2 GB, and
// so take at most 100 MB.
// It is safe for concurrent use.
type Hasher struct {
	slots chan struct{}
}

// NewHasher returns a Hasher. A process needs only one.
func NewHasher() *Hasher { return &Hasher{slots: make(chan struct{}, hook.MaxParallelHashes)} }

// Hash returns the password's hash as a PHC string, with a random salt. A password that breaks the rules of
// hook.ValidatePassword is an Invalid error; the end of ctx ends the wait for a turn.
func (h *Hasher) Hash(ctx context.Context, password string) (phc string, err error) {
	if err := hook.ValidatePassword(password); err != nil {
		return "", err
	}
	if err := h.enter(ctx); err != nil {
		return "", err
	}
	defer h.leave()
	phc, err = argon2id.CreateHash(password, params)
	if err != nil {
		return "", fmt.Errorf("auth: hash a password: %w", err)
	}
	return phc, nil
}

// Verify reports whether password has the hash. An empty phc, of a user that does not exist or has no password yet, takes
// as long as any other and is always false. A password that is too long to be anybody's is refused without hashing.
func (h *Hasher) Verify(ctx context.Context, password, phc string) (bool, error) {
	if len(password) > hook.MaxPasswordLen {
		return false, nil
	}
	against := phc
	if phc == "" {
		against = nobody
	}
	if err := h.enter(ctx); err != nil {
		return false, err
	}
	defer h.leave()
	match, err := argon2id.ComparePasswordAndHash(password, against)
	if err != nil {
		return false, fmt.Errorf("auth: verify a password: %w", err)
	}
	return match && phc != "", nil
}

func (h *Hasher) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case h.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// leave gives the turn back, and the memory first: a server that collects its garbage lazily would otherwise keep what
// dozens of hashes have left behind. The collection costs a tenth of the hash.
func (h *Hasher) leave() {
	runtime.GC()
	<-h.slots
}
