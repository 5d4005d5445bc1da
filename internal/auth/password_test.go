package auth

import (
	"context"
	"errors"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/alexedwards/argon2id"
	"github.com/google/go-cmp/cmp"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

const password = "correct horse battery"

func TestHashAndVerify(t *testing.T) {
	h := NewHasher()
	phc, err := h.Hash(t.Context(), password)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(phc, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("not the parameters of OWASP: %s", phc)
	}
	again, err := h.Hash(t.Context(), password)
	if err != nil || again == phc {
		t.Errorf("two hashes of one password must differ: %v", err)
	}
	for _, test := range []struct {
		password, phc string
		want          bool
	}{
		{password, phc, true},
		{password, again, true},
		{password + " ", phc, false},
		{"", phc, false},
		{password, "", false},
		{"", "", false},
		{strings.Repeat("x", hook.MaxPasswordLen+1), phc, false},
	} {
		got, err := h.Verify(t.Context(), test.password, test.phc)
		if err != nil || got != test.want {
			t.Errorf("Verify(%.20q, %.20q) = %t, %v, want %t", test.password, test.phc, got, err, test.want)
		}
	}
	if ok, err := h.Verify(t.Context(), password, "$argon2id$broken"); ok || err == nil {
		t.Errorf("a broken hash: got %t, %v", ok, err)
	}
}

// 64 bytes with spaces count whole: no silent cut as with bcrypt.
func TestLongPasswordCountsWhole(t *testing.T) {
	h := NewHasher()
	long := strings.Repeat("long pass ", 100)
	phc, err := h.Hash(t.Context(), long)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := h.Verify(t.Context(), long[:len(long)-1], phc); ok || err != nil {
		t.Errorf("without its last byte: got %t, %v", ok, err)
	}
}

func TestHashRefusesBadPasswords(t *testing.T) {
	for _, bad := range []string{"", "short", strings.Repeat("x", hook.MaxPasswordLen+1), "with a \x00 in it", strings.Repeat(" ", 20)} {
		if phc, err := NewHasher().Hash(t.Context(), bad); phc != "" || !hook.Is(err, hook.Invalid) {
			t.Errorf("%.20q: got %q, %v", bad, phc, err)
		}
	}
}

// Whether a user exists cannot be told from the time that a login takes: both ways do the same work.
func TestUnknownUserCostsTheSame(t *testing.T) {
	phc, err := NewHasher().Hash(t.Context(), password)
	if err != nil {
		t.Fatal(err)
	}
	known, _, _, err := argon2id.DecodeHash(phc)
	if err != nil {
		t.Fatal(err)
	}
	unknown, _, _, err := argon2id.DecodeHash(nobody)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(known, unknown); diff != "" {
		t.Error(diff)
	}
}

func TestParallelHashesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHasher()
		for range hook.MaxParallelHashes {
			if err := h.enter(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if ok, err := h.Verify(t.Context(), strings.Repeat("x", hook.MaxPasswordLen+1), ""); ok || err != nil {
			t.Errorf("a password that is too long must be refused without a turn: %t, %v", ok, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		gaveUp, waited := make(chan error, 1), make(chan error, 1)
		go func() {
			_, err := h.Verify(ctx, password, "")
			gaveUp <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-gaveUp; !errors.Is(err, context.Canceled) {
			t.Errorf("the end of the context must end the wait: %v", err)
		}
		go func() {
			_, err := h.Hash(t.Context(), password)
			waited <- err
		}()
		synctest.Wait()
		select {
		case err := <-waited:
			t.Fatalf("one hash more than %d ran: %v", hook.MaxParallelHashes, err)
		default:
		}
		h.leave()
		if err := <-waited; err != nil {
			t.Error(err)
		}
		if len(h.slots) != hook.MaxParallelHashes-1 {
			t.Errorf("%d turns taken after the hash, want %d", len(h.slots), hook.MaxParallelHashes-1)
		}
	})
}

// Many logins at once stay below 100 MB, in a process that collects garbage as seldom as the server does.
func TestMemoryOfManyLogins(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	runtime.GC()
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse
	}
	before := heap()
	h := NewHasher()
	sizes := make(chan uint64)
	const logins = 40
	for range logins {
		go func() {
			_, _ = h.Verify(t.Context(), password, "")
			sizes <- heap()
		}()
	}
	var most uint64
	for range logins {
		most = max(most, <-sizes)
	}
	if grown := most - before; grown > 100<<20 {
		t.Errorf("%d logins at once took %d MB", logins, grown>>20)
	}
}

func TestFinishedContextHashesNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := NewHasher().Hash(ctx, password); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func BenchmarkVerify(b *testing.B) {
	h := NewHasher()
	for b.Loop() {
		if _, err := h.Verify(b.Context(), password, ""); err != nil {
			b.Fatal(err)
		}
	}
}
