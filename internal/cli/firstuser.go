package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/auth"
	"github.com/hookkeeper/hookkeeper/internal/config"
	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// localEmail is the user of HOOKKEEPER_AUTH=none in a database without users.
const localEmail = "you@localhost"

// setupLink is the one-time link with which the first user is made, while there is none.
type setupLink struct {
	token   string
	hash    [32]byte
	expires time.Time
	file    string
}

// firstUser sees to it that somebody can use the instance: the admin from the environment, the local user without a
// login, or whoever opens the set-up link. It returns the admin for whom HOOKKEEPER_API_TOKEN speaks, the zero User
// while there is none.
func (s *server) firstUser(ctx context.Context) (hook.User, error) {
	has, err := s.store.HasUsers(ctx)
	if err != nil {
		return hook.User{}, err
	}
	admin := s.config.Admin
	switch {
	case has && admin.Email != "":
		s.log.Info("HOOKKEEPER_ADMIN_EMAIL and HOOKKEEPER_ADMIN_PASSWORD are ignored, because there are users already")
	case !has && admin.Email != "":
		return s.createAdmin(ctx, admin.Email, string(admin.Password))
	case !has && s.config.AuthNone:
		return s.localUser(ctx)
	case !has:
		s.setup = newSetupLink(s.config.DataDir)
		return hook.User{}, nil
	}
	return s.existingAdmin(ctx, admin.Email)
}

// createAdmin makes the first user; without a password nobody can log in as that one.
func (s *server) createAdmin(ctx context.Context, email, password string) (hook.User, error) {
	u := hook.User{Email: email, Admin: true}
	if password != "" {
		phc, err := auth.NewHasher().Hash(ctx, password)
		if err != nil {
			return u, err
		}
		u.PasswordHash = phc
	}
	err := s.store.CreateFirstUser(ctx, &u)
	return u, err
}

// localUser makes the user of HOOKKEEPER_AUTH=none, who never logs in and so finds the first capture URL ready.
func (s *server) localUser(ctx context.Context) (hook.User, error) {
	u, err := s.createAdmin(ctx, localEmail, "")
	if err != nil {
		return u, err
	}
	return u, s.store.CreateCaptureURL(ctx, &hook.CaptureURL{
		OwnerID: u.ID, Name: hook.FirstName, CORS: true, Response: hook.DefaultResponse(),
	})
}

// existingAdmin returns the admin with the address, else the first one.
func (s *server) existingAdmin(ctx context.Context, email string) (hook.User, error) {
	users, err := s.store.Users(ctx)
	if err != nil {
		return hook.User{}, err
	}
	var first hook.User
	for _, u := range users {
		if !u.Admin {
			continue
		}
		if strings.EqualFold(u.Email, email) {
			return u, nil
		}
		if first.ID == 0 || u.ID < first.ID {
			first = u
		}
	}
	return first, nil
}

// environmentToken makes HOOKKEEPER_API_TOKEN the one token from the environment; unset, it revokes the one before.
func (s *server) environmentToken(ctx context.Context, owner hook.User) error {
	token := string(s.config.APIToken)
	if token == "" {
		return s.store.SetEnvToken(ctx, owner.ID, nil, "")
	}
	if owner.ID == 0 {
		return errors.New("HOOKKEEPER_API_TOKEN needs an admin to speak for: set HOOKKEEPER_ADMIN_EMAIL and " +
			"HOOKKEEPER_ADMIN_PASSWORD too, or open the set-up link first")
	}
	hash := auth.HashToken(token)
	return s.store.SetEnvToken(ctx, owner.ID, &hash, token[len(token)-4:])
}

func newSetupLink(dataDir string) *setupLink {
	token, hash := auth.NewSecret()
	return &setupLink{
		token: token, hash: hash, expires: time.Now().Add(hook.SetupLinkLifetime), file: filepath.Join(dataDir, "setup-link"),
	}
}

// publish prints the link and writes it to its file, readable by the owner only.
func (l *setupLink) publish(base string, stderr io.Writer) error {
	link := base + "/setup?token=" + l.token
	fmt.Fprintf(stderr, "\nOpen this link to set Hookkeeper up: %s\n\n", link)
	if err := os.Remove(l.file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.WriteFile(l.file, []byte(link+"\n"), 0o600)
}

// remove takes the file away once the link is of no more use.
func (l *setupLink) remove() {
	if l != nil {
		_ = os.Remove(l.file)
	}
}

// baseURL returns the address to print: the public one, else where we listen, with localhost for every address.
func baseURL(c config.Config, addr net.Addr) string {
	if c.PublicURL != nil {
		return c.PublicURL.String()
	}
	return config.LocalURL(addr.String())
}
