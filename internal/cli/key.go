package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hookkeeper/hookkeeper/internal/config"
	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/seal"
	"github.com/hookkeeper/hookkeeper/internal/signing"
	"github.com/hookkeeper/hookkeeper/internal/store"
)

// keyFile is the key of secrets in a data directory, for installations that do not set HOOKKEEPER_SECRET_KEY.
const keyFile = "secret.key"

// secretKey returns the key that encrypts secrets at rest. It is made with the first database; where there are secrets, a new
// key would only hide that theirs is lost.
func secretKey(ctx context.Context, c config.Config) (seal.Key, error) {
	if c.SecretKey != (seal.Key{}) {
		return c.SecretKey, nil
	}
	path := filepath.Join(c.DataDir, keyFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		sealed, err := store.HoldsSecrets(ctx, databasePath(c.DataDir))
		if err != nil {
			return seal.Key{}, err
		}
		if sealed {
			return seal.Key{}, fmt.Errorf("the database holds secrets, but their key, %s, is missing: put it back from your backup, or "+
				"set HOOKKEEPER_SECRET_KEY to it", path)
		}
	}
	return seal.LoadOrCreate(path)
}

// alertFile has the secret that signs alerts, for whoever verifies them.
const alertFile = "alert.secret"

// alertSecret returns the secret that signs alerts, and makes it when there is none.
func alertSecret(dataDir string) (string, error) {
	path := filepath.Join(dataDir, alertFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		secret := signing.NewSecret(hook.SignStandard)
		return secret, os.WriteFile(path, []byte(secret+"\n"), 0o600)
	}
	if err != nil {
		return "", fmt.Errorf("the secret of alerts cannot be read: %w", err)
	}
	secret := strings.TrimSpace(string(text))
	if err := signing.ValidateSecret(hook.SignStandard, secret); err != nil {
		return "", fmt.Errorf("%s %w: correct the file, or remove it for a new secret", path, err)
	}
	return secret, nil
}

// explainKey adds what to do when the secrets of a database belong to another key.
func explainKey(err error) error {
	if errors.Is(err, seal.ErrOtherKey) {
		return fmt.Errorf("the secrets in the database were encrypted with another key: put back the %s that belongs to it, or set "+
			"HOOKKEEPER_SECRET_KEY to that key (%w)", keyFile, err)
	}
	return err
}
