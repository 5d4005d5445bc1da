package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/hookkeeper/hookkeeper/internal/config"
	"github.com/hookkeeper/hookkeeper/internal/seal"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/view"
)

type backupCmd struct {
	database
	File    string `arg:"" help:"The copy to make; it must not be there yet."`
	WithKey bool   `help:"Copy the key of the secrets, too, into FILE.key."`
}

// Run copies the database, which a server may be writing, and the key when that is asked for.
func (c *backupCmd) Run(env *environment) error {
	conf, err := c.config(env)
	if err != nil {
		return err
	}
	key, err := c.keyToCopy(conf)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(env.ctx, syscall.SIGINT, syscall.SIGTERM) // an interrupted copy is removed
	defer stop()
	progress, end := progressOn(env.stderr)
	b, err := store.MakeBackup(ctx, store.BackupOptions{
		Path: databasePath(conf.DataDir), To: c.File, DiskReserve: conf.DiskReserve, Progress: progress,
	})
	end()
	if err != nil {
		return err
	}
	fmt.Fprintf(env.stdout, "%s: %s requests, %s, read back and sound.\n", c.File, view.Count(b.Requests), view.Size(b.Bytes))
	return c.copyKey(env, conf, key)
}

// keyToCopy returns the text of the key file, "" when it is not asked for. What would be in the way is told before the work.
func (c *backupCmd) keyToCopy(conf config.Config) (string, error) {
	if err := mustHaveDatabase(conf.DataDir); err != nil || !c.WithKey {
		return "", err
	}
	if conf.SecretKey != (seal.Key{}) {
		return "", usagef("the key comes from HOOKKEEPER_SECRET_KEY: keep it from there, and leave --with-key out")
	}
	if _, err := os.Lstat(c.keyCopy()); err == nil {
		return "", fmt.Errorf("%s is there already: name another file", c.keyCopy())
	}
	text, err := os.ReadFile(filepath.Join(conf.DataDir, keyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("there is no %s in %q", keyFile, conf.DataDir)
	}
	return string(text), err
}

func (c *backupCmd) keyCopy() string { return c.File + ".key" }

func (c *backupCmd) copyKey(env *environment, conf config.Config, key string) error {
	if key == "" {
		where := filepath.Join(conf.DataDir, keyFile)
		if conf.SecretKey != (seal.Key{}) {
			where = "HOOKKEEPER_SECRET_KEY"
		}
		fmt.Fprintf(env.stderr, "The secrets in it open only with the key in %s: keep a copy of that, too.\n", where)
		return nil
	}
	if err := store.WritePrivately(c.keyCopy(), key); err != nil {
		return fmt.Errorf("the database is copied, but its key is not: %w", err)
	}
	fmt.Fprintf(env.stdout, "%s: the key of its secrets. Whoever has both files can read them.\n", c.keyCopy())
	return nil
}

// progressOn returns what shows how far a copy is, on a terminal in a line that changes, and what ends that.
func progressOn(screen io.Writer) (progress func(done, total int64), end func()) {
	if !isTerminal(screen) {
		fmt.Fprintln(screen, "Copying the database …")
		return nil, func() {}
	}
	progress = func(done, total int64) {
		doing := fmt.Sprintf("Copying the database … %d %%", 100*done/total)
		if done == total {
			doing = "Reading the copy back …"
		}
		fmt.Fprint(screen, "\r\x1b[K"+doing)
	}
	return progress, func() { fmt.Fprint(screen, "\r\x1b[K") }
}
