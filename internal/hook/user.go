package hook

import (
	"net/mail"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// User owns capture URLs and logs in with an e-mail address and a password.
type User struct {
	ID           ID
	Email        string // as typed; compared without regard to case
	PasswordHash string // PHC string of argon2id; "" until the user has chosen a password
	Admin        bool
	// SessionEpoch is part of every session of the user. Raising it ends them all.
	SessionEpoch int64
	CreatedAt    time.Time
}

// Token speaks for a user in the API. Only a hash of it is stored.
type Token struct {
	ID         ID
	UserID     ID
	UserEmail  string
	Name       string
	Hint       string // its last four characters
	FromEnv    bool   // from HOOKKEEPER_API_TOKEN
	CreatedAt  time.Time
	LastUsedAt time.Time // zero when never; kept to about an hour
}

// Actor is who asks. Every read and write of what users own takes one.
type Actor struct {
	UserID ID
	Admin  bool
}

// System acts for the server and the command line: it sees everything.
var System = Actor{Admin: true}

// MaySee reports whether the actor may see what owner owns.
func (a Actor) MaySee(owner ID) bool { return a.Admin || a.UserID != 0 && a.UserID == owner }

// ValidateEmail returns an Invalid error when email cannot be an address to log in with.
func ValidateEmail(email string) error {
	var v invalid
	addr, err := mail.ParseAddress(email)
	switch {
	case email == "":
		v.add("email", "is empty: type an e-mail address")
	case len(email) > MaxEmailLen:
		v.add("email", "is longer than %d characters", MaxEmailLen)
	case err != nil || addr.Address != email || strings.ContainsFunc(email, unicode.IsControl):
		v.add("email", "is not an e-mail address like ann@example.com")
	}
	return v.err()
}

// ValidatePassword returns an Invalid error when password cannot be used. It is called before any hashing.
func ValidatePassword(password string) error {
	var v invalid
	switch {
	case len(password) > MaxPasswordLen:
		v.add("password", "is longer than %d bytes", MaxPasswordLen)
	case utf8.RuneCountInString(password) < MinPasswordLen:
		v.add("password", "must have at least %d characters", MinPasswordLen)
	case strings.TrimSpace(password) == "":
		v.add("password", "is only white space: type something that is hard to guess")
	case strings.ContainsRune(password, 0):
		v.add("password", "contains a NUL character")
	}
	return v.err()
}

// ValidateTokenName returns an Invalid error when name cannot name an API token.
func ValidateTokenName(name string) error {
	var v invalid
	validateName(&v, name)
	for i := range v {
		v[i].Message = strings.ReplaceAll(v[i].Message, "the capture URL", "the token")
	}
	return v.err()
}
