package snippet

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"go/format"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/signing"
)

// receiver programs read headers and body from their standard input, verify, and exit with status 3 when they refuse.
const (
	goReceiver = `package main

import (
	"encoding/json"
	"net/http"
	"os"

	"receiver/webhook"
)

func main() {
	var request struct {
		Headers map[string]string
		Body    []byte
	}
	if err := json.NewDecoder(os.Stdin).Decode(&request); err != nil {
		panic(err)
	}
	header := http.Header{}
	for name, value := range request.Headers {
		header.Set(name, value)
	}
	if err := webhook.Verify(header, request.Body); err != nil {
		os.Stderr.WriteString(err.Error())
		os.Exit(3)
	}
}
`
	jsReceiver = `import { readFileSync } from "node:fs";
import { verify } from "./webhook.mjs";
const request = JSON.parse(readFileSync(0));
const headers = Object.fromEntries(Object.entries(request.Headers).map(([name, value]) => [name.toLowerCase(), value]));
try {
  verify(headers, Buffer.from(request.Body, "base64"));
} catch (error) {
  console.error(error.message);
  process.exit(error.constructor === Error ? 3 : 1);
}
`
	pythonReceiver = `import base64, email.message, json, sys
from webhook import verify
request = json.load(sys.stdin)
headers = email.message.Message()
for name, value in request["Headers"].items():
    headers[name] = value
try:
    verify(headers, base64.b64decode(request["Body"]))
except ValueError as error:
    print(error, file=sys.stderr)
    sys.exit(3)
`
)

// prepare puts a snippet and its receiver into a directory and returns the command that runs it there. The test is
// skipped where the language is missing.
func prepare(t *testing.T, scheme hook.Scheme, s Snippet) (dir string, command []string) {
	t.Helper()
	dir = t.TempDir()
	switch s.Language {
	case "Go":
		require(t, true, "go", "version")
		write(t, filepath.Join(dir, "go.mod"), []byte("module receiver\n\ngo 1.21\n"))
		write(t, filepath.Join(dir, "main.go"), []byte(goReceiver))
		if err := os.Mkdir(filepath.Join(dir, "webhook"), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "webhook", "webhook.go"), []byte(s.Text))
		build := exec.CommandContext(t.Context(), "go", "build", "-o", "receiver")
		build.Dir = dir
		if output, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
		return dir, []string{filepath.Join(dir, "receiver")}
	case "JavaScript":
		require(t, false, "node", "--version")
		write(t, filepath.Join(dir, "webhook.mjs"), []byte(s.Text))
		write(t, filepath.Join(dir, "main.mjs"), []byte(jsReceiver))
		return dir, []string{"node", "main.mjs"}
	}
	if scheme == hook.SignStandardV1a {
		require(t, false, "python3", "-c", "import cryptography")
	}
	require(t, true, "python3", "--version")
	write(t, filepath.Join(dir, "webhook.py"), []byte(s.Text))
	write(t, filepath.Join(dir, "main.py"), []byte(pythonReceiver))
	return dir, []string{"python3", "main.py"}
}

// require skips the test when a program does not run. Those that every machine of the project has must, when
// HOOKKEEPER_TEST_ALL is set.
func require(t *testing.T, everywhere bool, command ...string) {
	t.Helper()
	if err := exec.CommandContext(t.Context(), command[0], command[1:]...).Run(); err != nil {
		if everywhere && os.Getenv("HOOKKEEPER_TEST_ALL") == "1" {
			t.Fatalf("%v: %v", command, err)
		}
		t.Skipf("%v: %v", command, err)
	}
}

func TestVerify(t *testing.T) {
	for _, scheme := range hook.Schemes {
		snippets := Verify(scheme)
		if want := 3; scheme != hook.SignNone && len(snippets) != want || scheme == hook.SignNone && snippets != nil {
			t.Errorf("%s: %d snippets", scheme, len(snippets))
		}
		for _, s := range snippets {
			t.Run(fmt.Sprintf("%s in %s", scheme, s.Language), func(t *testing.T) {
				t.Parallel()
				dir, command := prepare(t, scheme, s)
				verifyAll(t, scheme, dir, command)
			})
		}
	}
}

func verifyAll(t *testing.T, scheme hook.Scheme, dir string, command []string) {
	t.Helper()
	body := []byte("{\"note\":\"café \xff\"}\n")
	now := time.Now()
	before, after, stranger := signing.NewSecret(scheme), signing.NewSecret(scheme), signing.NewSecret(scheme)
	rotated := signing.Rotate(hook.Signing{Scheme: scheme, Secrets: []hook.Secret{{Text: before}}}, after, time.Hour, now)
	signed := func(at time.Time) map[string]string {
		headers, err := signing.Headers(rotated, "req_1", at, body)
		if err != nil {
			t.Fatal(err)
		}
		byName := map[string]string{}
		for _, h := range headers {
			byName[h.Name] = h.Value
		}
		return byName
	}
	onlyBody := scheme == hook.SignGitHub // is signed, and by one secret
	changed := signed(now)
	changed["Webhook-Id"] = "req_2"
	for _, tc := range []struct {
		name    string
		secret  string
		headers map[string]string
		body    []byte
		want    bool
	}{
		{"good", after, signed(now), body, true},
		{"the secret before, while it is rotated", before, signed(now), body, !onlyBody},
		{"a wrong secret", stranger, signed(now), body, false},
		{"another body", after, signed(now), append([]byte(" "), body...), false},
		{"another id", after, changed, body, onlyBody || scheme == hook.SignStripe},
		{"4 minutes old", after, signed(now.Add(-4 * time.Minute)), body, true},
		{"6 minutes old", after, signed(now.Add(-6 * time.Minute)), body, onlyBody},
		{"6 minutes early", after, signed(now.Add(6 * time.Minute)), body, onlyBody},
		{"no headers", after, map[string]string{}, body, false},
		{"nonsense", after, map[string]string{
			"Webhook-Id": "req_1", "Webhook-Timestamp": fmt.Sprint(now.Unix()), "Webhook-Signature": "v1 v1, v1a, v1a v1a,é= ,",
			"X-Hub-Signature-256": "sha256=é", "Stripe-Signature": fmt.Sprintf("t=%d,v1,v1=,v1=é,=,", now.Unix()),
		}, body, false},
	} {
		environment := "WEBHOOK_SECRET=" + tc.secret
		if scheme == hook.SignStandardV1a {
			public, err := signing.PublicKey(tc.secret)
			if err != nil {
				t.Fatal(err)
			}
			environment = "WEBHOOK_PUBLIC_KEY=" + public
		}
		output, err := receive(t, dir, command, environment, tc.headers, tc.body)
		exit, refused := errors.AsType[*exec.ExitError](err)
		switch {
		case err != nil && (!refused || exit.ExitCode() != 3):
			t.Errorf("%s: %v\n%s", tc.name, err, output)
		case refused == tc.want:
			t.Errorf("%s: accepted %v, want %v: %s", tc.name, !refused, tc.want, output)
		}
	}
	// Anybody can sign with a key that is empty because somebody forgot to set it.
	timestamp := fmt.Sprint(now.Unix())
	empty := func(prefix string) []byte {
		mac := hmac.New(sha256.New, nil)
		mac.Write(append([]byte(prefix), body...))
		return mac.Sum(nil)
	}
	forged := map[string]string{
		"Webhook-Id": "a", "Webhook-Timestamp": timestamp,
		"Webhook-Signature":   "v1," + base64.StdEncoding.EncodeToString(empty("a."+timestamp+".")),
		"X-Hub-Signature-256": "sha256=" + hex.EncodeToString(empty("")),
		"Stripe-Signature":    "t=" + timestamp + ",v1=" + hex.EncodeToString(empty(timestamp+".")),
	}
	if _, err := receive(t, dir, command, "WEBHOOK_SECRET=", forged, body); err == nil {
		t.Error("an empty secret verifies")
	}
}

// receive gives a request to a receiver.
func receive(
	t *testing.T, dir string, command []string, environment string, headers map[string]string, body []byte,
) (output []byte, err error) {
	t.Helper()
	input, err := json.Marshal(map[string]any{"Headers": headers, "Body": body})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Dir = dir
	cmd.Stdin = bytes.NewReader(input)
	cmd.Env = append(os.Environ(), environment)
	return cmd.CombinedOutput()
}

func TestVerifyInGoIsFormatted(t *testing.T) {
	for _, scheme := range hook.Schemes {
		for _, s := range Verify(scheme) {
			if formatted, err := format.Source([]byte(s.Text)); s.Language == "Go" && (err != nil || string(formatted) != s.Text) {
				t.Errorf("%s: not formatted, %v", scheme, err)
			}
		}
	}
}
