package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"strings"
)

// tokenPrefix lets people and secret scanners recognise one of our tokens.
const tokenPrefix = "hk_"

// NewToken returns an API token, the hash to store in its place, and the hint by which its owner recognises it: its last
// four characters.
func NewToken() (text string, hash [32]byte, hint string) {
	text = tokenPrefix + random()
	return text, HashToken(text), Hint(text)
}

// NewSecret returns a secret for a one-time link or for the cookie that marks a known device, and the hash to store.
func NewSecret() (text string, hash [32]byte) {
	text = random()
	return text, HashToken(text)
}

// random returns 52 characters of base32 with 260 random bits, so that a fast hash is as good as a slow one.
func random() string { return strings.ToLower(rand.Text() + rand.Text()) }

// HashToken returns what is stored and looked up in place of a token or a secret.
func HashToken(text string) [32]byte { return sha256.Sum256([]byte(text)) }

// Hint returns the last four characters of a token.
func Hint(token string) string { return token[max(0, len(token)-4):] }

// Equal compares two hashes of HashToken in constant time. The zero hash, of a secret that was never made, equals none.
func Equal(a, b [32]byte) bool {
	var zero [32]byte
	return subtle.ConstantTimeCompare(a[:], b[:])&^subtle.ConstantTimeCompare(a[:], zero[:]) == 1
}
