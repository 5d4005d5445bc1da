// Package seal encrypts the secrets that Hookkeeper has to read again, such as the keys that sign deliveries: a copy of
// the database alone gives none of them away.
//
// A sealed value is the id of its key, a nonce, and AES-256-GCM over the secret. The place where it is stored is
// authenticated with it, so that a value that is moved to another row or column does not open.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

const (
	keyLen = 32 // bytes: AES-256
	idLen  = 4
)

// Key encrypts and decrypts. It does not print itself. The zero Key is no key.
type Key struct {
	id   [idLen]byte
	aead cipher.AEAD
}

// The errors of Open.
var (
	ErrOtherKey = errors.New("it was encrypted with another key")
	ErrChanged  = errors.New("it was changed, or belongs elsewhere")
)

func newKey(secret []byte) (Key, error) {
	block, err := aes.NewCipher(secret)
	if err != nil {
		return Key{}, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return Key{}, err
	}
	k := Key{aead: aead}
	sum := sha256.Sum256(append([]byte("hookkeeper key id "), secret...))
	copy(k.id[:], sum[:])
	return k, nil
}

// NewKey returns a key that nobody has had before, for what need not outlive the process.
func NewKey() Key {
	secret := make([]byte, keyLen)
	_, _ = rand.Read(secret) // never fails, see crypto/rand
	k, err := newKey(secret)
	if err != nil {
		panic(err) // the length is right
	}
	return k
}

// ParseKey reads a key of 32 bytes in standard base64.
func ParseKey(text string) (Key, error) {
	secret, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil || len(secret) != keyLen {
		return Key{}, errors.New("must be 32 bytes in base64: make one with openssl rand -base64 32")
	}
	return newKey(secret)
}

// LoadOrCreate reads the key in a file, and makes the file with a new key when there is none. A file that others may
// read is refused.
func LoadOrCreate(path string) (Key, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := create(path); err != nil {
			return Key{}, fmt.Errorf("the key file %s cannot be made: %w", path, err)
		}
	} else if err != nil {
		return Key{}, fmt.Errorf("the key file %s cannot be read: %w", path, err)
	} else if info.Mode().Perm()&^0o640 != 0 {
		return Key{}, fmt.Errorf("the key file %s can be used by others: run chmod 600 %s", path, path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return Key{}, fmt.Errorf("the key file %s cannot be read: %w", path, err)
	}
	key, err := ParseKey(string(text))
	if err != nil {
		return Key{}, fmt.Errorf("the key file %s holds no key: it %w", path, err)
	}
	return key, nil
}

// create writes a new key in a way that leaves a whole file or none: what is encrypted with half a key is lost.
func create(path string) (err error) {
	secret := make([]byte, keyLen)
	_, _ = rand.Read(secret)
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".key-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(f.Name())) }()
	_, err = f.WriteString(base64.StdEncoding.EncodeToString(secret) + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) { // another process may have been faster
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// ID names the key; it can be shown.
func (k Key) ID() string { return hex.EncodeToString(k.id[:]) }

// Seal encrypts plain for a place, such as the row and the column where it will stand.
func (k Key) Seal(plain []byte, place string) []byte {
	return k.aead.Seal(k.id[:], nil, plain, k.authenticated(place))
}

// Open decrypts what Seal returned for the place. Errors are ErrOtherKey and ErrChanged.
func (k Key) Open(sealed []byte, place string) ([]byte, error) {
	if len(sealed) < idLen {
		return nil, ErrChanged
	}
	if [idLen]byte(sealed) != k.id {
		return nil, ErrOtherKey
	}
	plain, err := k.aead.Open(nil, nil, sealed[idLen:], k.authenticated(place))
	if err != nil {
		return nil, ErrChanged
	}
	return plain, nil
}

func (k Key) authenticated(place string) []byte { return append(k.id[:], place...) }

// String keeps the key out of texts.
func (k Key) String() string { return "[key " + k.ID() + "]" }

// GoString does so for %#v.
func (k Key) GoString() string { return k.String() }

// LogValue does so for logs.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }
