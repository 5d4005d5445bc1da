// Package signing signs deliveries, in the ways that receivers know how to verify.
//
// Standard Webhooks 1.0.0 (https://github.com/standard-webhooks/standard-webhooks) signs id, time and the exact bytes of
// the body, with HMAC-SHA256 (v1) or Ed25519 (v1a). The schemes of GitHub and Stripe are for receivers that verify those
// already. With every scheme the id and the time of the attempt are sent too, so that a receiver can tell a repetition.
package signing

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// The prefixes of secrets and keys in their written form.
const (
	secretPrefix  = "whsec_" // a symmetric key in base64
	privatePrefix = "whsk_"  // an Ed25519 private key, seed and public half
	publicPrefix  = "whpk_"  // an Ed25519 public key
)

const (
	newKeyLen = 32 // bytes; Standard Webhooks asks for 24 to 64
	minKeyLen = 16 // of a key that somebody brings along: the libraries take less than 24
	maxKeyLen = 64
)

// NewSecret returns a secret that nobody has had before, in its written form; "" for hook.SignNone.
func NewSecret(s hook.Scheme) string {
	key := make([]byte, newKeyLen)
	_, _ = rand.Read(key) // never fails, see crypto/rand
	switch s {
	case hook.SignNone:
		return ""
	case hook.SignStandardV1a:
		return privatePrefix + base64.StdEncoding.EncodeToString(ed25519.NewKeyFromSeed(key))
	case hook.SignStandard:
		return secretPrefix + base64.StdEncoding.EncodeToString(key)
	}
	return hex.EncodeToString(key)
}

// ValidateSecret judges a secret that somebody chose; the error is a sentence that goes behind the name of the field.
func ValidateSecret(s hook.Scheme, text string) error {
	switch {
	case s == hook.SignNone:
		return errors.New("is not used: the subscription does not sign")
	case len(text) < hook.MinSecretLen:
		return fmt.Errorf("is shorter than %d characters", hook.MinSecretLen)
	case len(text) > hook.MaxSecretLen:
		return fmt.Errorf("is longer than %d characters", hook.MaxSecretLen)
	case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return errors.New("contains a space or a character that is not ASCII")
	case s == hook.SignStandard:
		_, err := symmetricKey(text)
		return err
	case s == hook.SignStandardV1a:
		_, err := privateKey(text)
		return err
	}
	return nil
}

func symmetricKey(text string) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(text, secretPrefix))
	if err != nil || len(key) < minKeyLen || len(key) > maxKeyLen {
		return nil, fmt.Errorf("must be %s and %d to %d bytes in base64", secretPrefix, minKeyLen, maxKeyLen)
	}
	return key, nil
}

func privateKey(text string) (ed25519.PrivateKey, error) {
	encoded, ok := strings.CutPrefix(text, privatePrefix)
	key, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(key) != ed25519.PrivateKeySize || !ed25519.NewKeyFromSeed(key[:ed25519.SeedSize]).Equal(ed25519.PrivateKey(key)) {
		return nil, fmt.Errorf("must be %s and the %d bytes of an Ed25519 private key with its public half, in base64",
			privatePrefix, ed25519.PrivateKeySize)
	}
	return key, nil
}

// PublicKey returns the key with which receivers verify what a whsk_ secret signs, as whpk_ and base64.
func PublicKey(secret string) (string, error) {
	key, err := privateKey(secret)
	if err != nil {
		return "", err
	}
	return publicPrefix + base64.StdEncoding.EncodeToString(key[ed25519.SeedSize:]), nil
}

// Headers returns the headers that sign one attempt: id is the message's, the same for all its attempts, at the time of
// this one. Secrets that have expired by then do not sign. There are none for hook.SignNone.
func Headers(s hook.Signing, id string, at time.Time, body []byte) ([]hook.Header, error) {
	if s.Scheme == hook.SignNone {
		return nil, nil
	}
	var secrets []string
	for _, secret := range s.Secrets {
		if secret.Expires.IsZero() || at.Before(secret.Expires) {
			secrets = append(secrets, secret.Text)
		}
	}
	if len(secrets) == 0 {
		return nil, errors.New("the subscription has no secret to sign with")
	}
	timestamp := strconv.FormatInt(at.Unix(), 10)
	name, value, err := sign(s.Scheme, secrets, id, timestamp, body)
	if err != nil {
		return nil, err
	}
	return []hook.Header{
		{Name: "Webhook-Id", Value: id}, {Name: "Webhook-Timestamp", Value: timestamp}, {Name: name, Value: value},
	}, nil
}

func sign(scheme hook.Scheme, secrets []string, id, timestamp string, body []byte) (name, value string, err error) {
	switch scheme {
	case hook.SignGitHub: // https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries: one signature only
		return "X-Hub-Signature-256", "sha256=" + hex.EncodeToString(mac([]byte(secrets[0]), body)), nil
	case hook.SignStripe: // https://docs.stripe.com/webhooks#verify-manually
		value = "t=" + timestamp
		for _, secret := range secrets {
			value += ",v1=" + hex.EncodeToString(mac([]byte(secret), []byte(timestamp+"."), body))
		}
		return "Stripe-Signature", value, nil
	}
	entries := make([]string, len(secrets))
	for i, secret := range secrets {
		if entries[i], err = standard(scheme, secret, id+"."+timestamp+".", body); err != nil {
			return "", "", err
		}
	}
	return "Webhook-Signature", strings.Join(entries, " "), nil
}

// standard returns one entry of a webhook-signature.
func standard(scheme hook.Scheme, secret, prefix string, body []byte) (string, error) {
	if scheme == hook.SignStandardV1a {
		key, err := privateKey(secret)
		if err != nil {
			return "", errors.New("the subscription's secret cannot be used")
		}
		return "v1a," + base64.StdEncoding.EncodeToString(ed25519.Sign(key, append([]byte(prefix), body...))), nil
	}
	key, err := symmetricKey(secret)
	if err != nil {
		return "", errors.New("the subscription's secret cannot be used")
	}
	return "v1," + base64.StdEncoding.EncodeToString(mac(key, []byte(prefix), body)), nil
}

func mac(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	for _, part := range parts {
		h.Write(part)
	}
	return h.Sum(nil)
}

// Rotate returns s with a new current secret. The one before goes on signing beside it for the overlap; those that have
// expired are dropped, and of too many the oldest.
func Rotate(s hook.Signing, secret string, overlap time.Duration, now time.Time) hook.Signing {
	rotated := hook.Signing{Scheme: s.Scheme, Secrets: []hook.Secret{{Text: secret}}}
	for _, old := range s.Secrets {
		if end := now.Add(overlap); old.Expires.IsZero() || end.Before(old.Expires) {
			old.Expires = end
		}
		if now.Before(old.Expires) && len(rotated.Secrets) < hook.MaxSecrets {
			rotated.Secrets = append(rotated.Secrets, old)
		}
	}
	return rotated
}
