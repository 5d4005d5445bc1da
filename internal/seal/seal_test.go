package seal

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

const place = "subscriptions/1/secrets"

func TestOpenGivesBackWhatWasSealed(t *testing.T) {
	k := NewKey()
	for _, plain := range []string{"", "x", strings.Repeat("secret ", 1000)} {
		sealed := k.Seal([]byte(plain), place)
		if len(plain) > 4 && bytes.Contains(sealed, []byte(plain[:5])) {
			t.Errorf("the secret can be read in %q", sealed[:40])
		}
		got, err := k.Open(sealed, place)
		if err != nil || string(got) != plain {
			t.Errorf("Open = %q, %v; want %q", got, err, plain)
		}
	}
	if bytes.Equal(k.Seal([]byte("x"), place), k.Seal([]byte("x"), place)) {
		t.Error("two values show that they are equal")
	}
}

func TestOpenRefuses(t *testing.T) {
	k := NewKey()
	sealed := k.Seal([]byte("secret"), place)
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		want := ErrChanged
		if i < idLen {
			want = ErrOtherKey
		}
		if _, err := k.Open(changed, place); !errors.Is(err, want) {
			t.Errorf("byte %d flipped: %v, want %v", i, err, want)
		}
	}
	for name, got := range map[string]error{
		"elsewhere": open(k, sealed, "subscriptions/2/secrets"), "cut": open(k, sealed[:len(sealed)-1], place),
		"short": open(k, sealed[:3], place), "only the id": open(k, sealed[:idLen], place),
	} {
		if !errors.Is(got, ErrChanged) {
			t.Errorf("%s: %v, want %v", name, got, ErrChanged)
		}
	}
	if err := open(NewKey(), sealed, place); !errors.Is(err, ErrOtherKey) {
		t.Errorf("another key: %v, want %v", err, ErrOtherKey)
	}
}

func open(k Key, sealed []byte, place string) error {
	_, err := k.Open(sealed, place)
	return err
}

func TestParseKey(t *testing.T) {
	text := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))
	k, err := ParseKey(text + "\n")
	if err != nil {
		t.Fatal(err)
	}
	again, _ := ParseKey(text)
	if err := open(again, k.Seal(nil, place), place); err != nil {
		t.Errorf("the same key again: %v", err)
	}
	for _, text := range []string{"", "x", text[:40], text + text, strings.Repeat("0", 64)} {
		if _, err := ParseKey(text); err == nil || !strings.Contains(err.Error(), "openssl rand -base64 32") {
			t.Errorf("ParseKey(%q): %v", text, err)
		} else if text != "" && text != "x" && strings.Contains(err.Error(), text) {
			t.Errorf("the error repeats the key: %v", err)
		}
	}
}

func TestKeyDoesNotPrintItself(t *testing.T) {
	secret := bytes.Repeat([]byte("k"), 32)
	k, _ := ParseKey(base64.StdEncoding.EncodeToString(secret))
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("start", "key", k)
	for _, text := range []string{fmt.Sprint(k), fmt.Sprintf("%v %+v %#v %s", k, k, k, k), log.String()} {
		if strings.Contains(text, "kkkk") || strings.Contains(text, "107 107") || !strings.Contains(text, k.ID()) {
			t.Errorf("printed as %q", text)
		}
	}
}

func TestLoadOrCreate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret.key")
	ids := make([]string, 8)
	var group sync.WaitGroup
	for i := range ids {
		group.Go(func() {
			k, err := LoadOrCreate(path)
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = k.ID()
		})
	}
	group.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("several keys at a first start: %v", ids)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
	if files, _ := os.ReadDir(filepath.Dir(path)); len(files) != 1 {
		t.Errorf("%d files are left, want the key only", len(files))
	}
}

func TestLoadRefuses(t *testing.T) {
	dir := t.TempDir()
	good := base64.StdEncoding.EncodeToString(make([]byte, 32))
	for name, tc := range map[string]struct {
		content string
		mode    os.FileMode
		want    string
	}{
		"empty":    {"", 0o600, "holds no key"},
		"cut":      {good[:20], 0o600, "openssl rand"},
		"readable": {good, 0o644, "chmod 600"},
		"writable": {good, 0o660, "chmod 600"},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(tc.content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, tc.mode); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadOrCreate(path); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v; want %q", name, err, tc.want)
		}
	}
	if _, err := LoadOrCreate(filepath.Join(dir, "missing", "key")); err == nil {
		t.Error("a key in a folder that is not there")
	}
}

func FuzzOpen(f *testing.F) {
	k := NewKey()
	sealed := k.Seal([]byte("secret"), place)
	f.Add(sealed, place)
	f.Add(sealed[:5], "")
	f.Add([]byte{}, place)
	f.Fuzz(func(t *testing.T, b []byte, where string) {
		if plain, err := k.Open(b, where); err == nil && (!bytes.Equal(b, sealed) || where != place) {
			t.Errorf("Open(%x, %q) = %q", b, where, plain)
		}
	})
}
