package config

import (
	"bytes"
	"encoding/base64"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookkeeper/hookkeeper/internal/egress"
	"github.com/hookkeeper/hookkeeper/internal/seal"
)

const testKey = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

func TestDeliverySettings(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(testKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want, err := seal.ParseKey(testKey)
	if err != nil {
		t.Fatal(err)
	}
	c := load(t, "HOOKKEEPER_ALLOW_TARGETS=10.0.0.0/8, shop.internal:8080", "HOOKKEEPER_ALERT_URL=https://ops.example.com/hook",
		"HOOKKEEPER_SECRET_KEY="+testKey)
	if c.SecretKey.ID() != want.ID() || c.AlertURL != "https://ops.example.com/hook" {
		t.Errorf("key %v, alerts to %q", c.SecretKey, c.AlertURL)
	}
	guard := egress.New(egress.Options{Allow: c.AllowTargets})
	defer guard.Close()
	if guard.Check("http://10.1.2.3/") != nil || guard.Check("http://192.168.0.1/") == nil {
		t.Error("the allow-list is not the one that was set")
	}
	if c := load(t, "HOOKKEEPER_SECRET_KEY_FILE="+file); c.SecretKey.ID() != want.ID() {
		t.Errorf("key %v from the file", c.SecretKey)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).LogAttrs(t.Context(), slog.LevelInfo, "settings", c.LogAttrs()...)
	if strings.Contains(log.String(), testKey) || !strings.Contains(log.String(), "secret-key=") {
		t.Errorf("the log has %s", log.String())
	}
}

func TestWrongDeliverySettings(t *testing.T) {
	t.Parallel()
	got := problems(t, "HOOKKEEPER_ALLOW_TARGETS=10.0.0.0/8, a b, 1.2.3.4:99999", "HOOKKEEPER_ALERT_URL=ops.example.com",
		"HOOKKEEPER_SECRET_KEY="+base64.StdEncoding.EncodeToString([]byte("short")))
	var variables []string
	for _, p := range got {
		variable, _, _ := strings.Cut(p, ":")
		variables = append(variables, variable)
	}
	if diff := cmp.Diff([]string{"ALLOW_TARGETS", "ALLOW_TARGETS", "ALERT_URL", "SECRET_KEY"}, variables); diff != "" {
		t.Errorf("%s\n%s", diff, strings.Join(got, "\n"))
	}
}
