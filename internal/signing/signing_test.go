package signing

import (
	"crypto/ed25519"
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

const (
	vectorPrivate = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
	vectorPublic  = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
)

func signing(scheme hook.Scheme, secrets ...string) hook.Signing {
	s := hook.Signing{Scheme: scheme}
	for _, text := range secrets {
		s.Secrets = append(s.Secrets, hook.Secret{Text: text})
	}
	return s
}

// TestVectors are those that Standard Webhooks, GitHub and Stripe publish; Stripe's was computed by hand from its
// description.
func TestVectors(t *testing.T) {
	const id, at, body = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, `{"test": 2432232314}`
	for _, tc := range []struct {
		name    string
		signing hook.Signing
		id      string
		at      int64
		body    string
		want    hook.Header
	}{
		{
			"Standard Webhooks v1", signing(hook.SignStandard, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), id, at, body,
			hook.Header{Name: "Webhook-Signature", Value: "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
		},
		{
			"Standard Webhooks v1a", signing(hook.SignStandardV1a, vectorPrivate), id, at, body,
			hook.Header{Name: "Webhook-Signature", Value: "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="},
		},
		{
			"Standard Webhooks v1, 18 bytes", signing(hook.SignStandard, "whsec_plJ3nmyCDGBKInavdOK15jsl"), "msg_loFOjxBNrRLzqYUf",
			1731705121, `{"event_type":"ping","data":{"success":true}}`,
			hook.Header{Name: "Webhook-Signature", Value: "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="},
		},
		{
			"GitHub", signing(hook.SignGitHub, "It's a Secret to Everybody"), id, at, "Hello, World!",
			hook.Header{Name: "X-Hub-Signature-256", Value: "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Headers(tc.signing, tc.id, time.Unix(tc.at, 0), []byte(tc.body))
			want := []hook.Header{
				{Name: "Webhook-Id", Value: tc.id}, {Name: "Webhook-Timestamp", Value: strconv.FormatInt(tc.at, 10)}, tc.want,
			}
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
	if got, err := PublicKey(vectorPrivate); got != vectorPublic || err != nil {
		t.Errorf("PublicKey = %q, %v; want %q", got, err, vectorPublic)
	}
}

func TestNewSecretsSignAndAreValid(t *testing.T) {
	for _, scheme := range hook.Schemes {
		secret := NewSecret(scheme)
		if scheme == hook.SignNone {
			if secret != "" {
				t.Errorf("none: %q", secret)
			}
			continue
		}
		if err := ValidateSecret(scheme, secret); err != nil {
			t.Errorf("%s: %q %v", scheme, secret, err)
		}
		if secret == NewSecret(scheme) {
			t.Errorf("%s: the same secret twice", scheme)
		}
		if _, err := Headers(signing(scheme, secret), "req_1", time.Now(), nil); err != nil {
			t.Errorf("%s: %v", scheme, err)
		}
	}
}

func TestValidateSecretRefuses(t *testing.T) {
	foreign := base64.StdEncoding.EncodeToString(append(make([]byte, 32), ed25519.NewKeyFromSeed(make([]byte, 32))[:32]...))
	for _, tc := range []struct {
		scheme hook.Scheme
		text   string
		want   string
	}{
		{hook.SignGitHub, strings.Repeat("x", hook.MinSecretLen-1), "shorter than"},
		{hook.SignGitHub, strings.Repeat("x", hook.MaxSecretLen+1), "longer than"},
		{hook.SignStripe, "sixteen letters and a space", "a space"},
		{hook.SignStripe, "sixteen-letters-é", "not ASCII"},
		{hook.SignStandard, "whsec_not-base64-at-all", "whsec_ and"},
		{hook.SignStandard, "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, minKeyLen-1)), "16 to 64 bytes"},
		{hook.SignStandard, "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, maxKeyLen+1)), "16 to 64 bytes"},
		{hook.SignStandardV1a, "whsec_" + strings.TrimPrefix(vectorPrivate, "whsk_"), "whsk_ and"},
		{hook.SignStandardV1a, "whsk_" + foreign, "its public half"},
		{hook.SignNone, strings.Repeat("x", 20), "not used"},
	} {
		err := ValidateSecret(tc.scheme, tc.text)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s %q: %v, want %q", tc.scheme, tc.text, err, tc.want)
		} else if strings.Contains(err.Error(), tc.text) {
			t.Errorf("the error repeats the secret: %v", err)
		}
	}
}

// TestRotation: both sign for the overlap, then the new one alone.
func TestRotation(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	s := signing(hook.SignStandard, NewSecret(hook.SignStandard))
	s = Rotate(s, NewSecret(hook.SignStandard), time.Hour, now)
	entries := func(at time.Time) int {
		headers, err := Headers(s, "req_1", at, []byte("x"))
		if err != nil {
			t.Fatal(err)
		}
		return len(strings.Split(headers[2].Value, " "))
	}
	if a, b := entries(now.Add(time.Hour-1)), entries(now.Add(time.Hour)); a != 2 || b != 1 {
		t.Errorf("%d sign during the overlap and %d after it; want 2, 1", a, b)
	}
	s = Rotate(s, NewSecret(hook.SignStandard), time.Hour, now.Add(2*time.Hour))
	s = Rotate(s, NewSecret(hook.SignStandard), 0, now.Add(2*time.Hour)) // of all that sign: one may have leaked
	if len(s.Secrets) != 1 {
		t.Errorf("%d secrets are kept without an overlap", len(s.Secrets))
	}
	for range 2 * hook.MaxSecrets {
		s = Rotate(s, NewSecret(hook.SignStandard), time.Hour, now)
	}
	if len(s.Secrets) != hook.MaxSecrets {
		t.Errorf("%d secrets, want at most %d", len(s.Secrets), hook.MaxSecrets)
	}
	if _, err := Headers(hook.Signing{Scheme: hook.SignStripe}, "req_1", now, nil); err == nil {
		t.Error("signed without a secret")
	}
	if headers, err := Headers(hook.Signing{Scheme: hook.SignNone}, "req_1", now, nil); headers != nil || err != nil {
		t.Errorf("none: %v, %v", headers, err)
	}
}

// TestReferenceLibrary: the library that Standard Webhooks publishes for receivers takes what is signed here. While a
// secret is rotated it does so with either, afterwards with the new one alone.
func TestReferenceLibrary(t *testing.T) {
	now := time.Now() // the library compares with the clock
	body := []byte("{\"note\":\"café \xff\"}")
	before, after := NewSecret(hook.SignStandard), NewSecret(hook.SignStandard)
	s := Rotate(signing(hook.SignStandard, before), after, time.Minute, now)
	verify := func(secret string, at time.Time, received []byte) error {
		t.Helper()
		webhook, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := Headers(s, "req_1", at, body)
		if err != nil {
			t.Fatal(err)
		}
		header := http.Header{}
		for _, h := range signed {
			header.Set(h.Name, h.Value)
		}
		return webhook.Verify(received, header)
	}
	for _, secret := range []string{before, after} {
		if err := verify(secret, now, body); err != nil {
			t.Errorf("during the rotation: %v", err)
		}
	}
	if err := verify(after, now.Add(time.Minute), body); err != nil {
		t.Errorf("after the rotation: %v", err)
	}
	if verify(before, now.Add(time.Minute), body) == nil {
		t.Error("the old secret is good after the rotation")
	}
	if verify(after, now, append(body, ' ')) == nil {
		t.Error("a changed body is good")
	}
}

// FuzzSecret: what is taken as a secret signs, and no other text comes near a key.
func FuzzSecret(f *testing.F) {
	for _, scheme := range hook.Schemes {
		f.Add(string(scheme), NewSecret(scheme), []byte("body"))
	}
	f.Add("standard", "whsec_", []byte(nil))
	f.Add("standard", "whsec_!!!!", []byte("x"))
	f.Add("standard-v1a", "whsk_AAAA", []byte("x"))
	f.Fuzz(func(t *testing.T, scheme, secret string, body []byte) {
		s := hook.Scheme(scheme)
		if !slices.Contains(hook.Schemes, s) || ValidateSecret(s, secret) != nil {
			return
		}
		headers, err := Headers(hook.Signing{Scheme: s, Secrets: []hook.Secret{{Text: secret}}}, "msg_1", time.Unix(1, 0), body)
		if err != nil {
			t.Fatalf("a secret that was taken does not sign: %v", err)
		}
		for _, h := range headers {
			if strings.ContainsAny(h.Value, "\r\n\x00") || len(secret) > 8 && strings.Contains(h.Value, secret) {
				t.Errorf("header %q", h)
			}
		}
	})
}
