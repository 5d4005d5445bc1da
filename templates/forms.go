package templates

import (
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/tally"
)

// LoginForm is the state of the login page.
type LoginForm struct {
	Email   string // typed before
	Next    string // path to go to afterwards
	Problem string // why the last try failed, "" on the first one
}

// SetupForm is the state of the page that creates the first user.
type SetupForm struct {
	Token  string // of the set-up link
	Email  string
	Errors FieldErrors // at "email", "password"
}

// InviteForm is the state of the page on which a new user sets the password.
type InviteForm struct {
	Token  string // of the one-time link
	Email  string // whose account it is
	Errors FieldErrors
}

// AccountPage is what the settings page shows.
type AccountPage struct {
	Tokens        []hook.Token
	TokenName     string      // typed before, when it was refused
	NewToken      string      // the token just created, shown once
	TokenErrors   FieldErrors // at "name"
	PasswordError FieldErrors // at "current", "password"
	Reserved      []ReservedSlug
	MoreReserved  string     // the path of the page with the next of them, "" on the last one
	Admin         *AdminPage // nil for users who are no admin
}

// AdminPage is the part of the settings page for admins.
type AdminPage struct {
	Users      []UserItem
	UserErrors FieldErrors // at "email"
	UserEmail  string      // typed before, when it was refused
	InviteFor  string      // e-mail of the user just added
	InviteLink string      // their one-time link, shown once
}

// UserItem is a user as the list of users shows them.
type UserItem struct {
	hook.User
	CaptureURLs int
	Self        bool // the user who looks at the page: cannot be deleted here
}

// ReservedSlug is the slug of a deleted capture URL, kept for its owner.
type ReservedSlug struct {
	Slug       string
	OwnerEmail string
}

// DeleteUserPage asks what happens to the capture URLs of a user who is to be deleted.
type DeleteUserPage struct {
	User        hook.User
	CaptureURLs int         // that the user owns
	Others      []hook.User // who could take them over
	Problem     string
}

// NewURLForm is the state of the form that creates a capture URL.
type NewURLForm struct {
	Name   string
	Chosen bool   // the slug is chosen, not generated
	Slug   string // chosen, or offered
	Errors FieldErrors
}

// URLForm is the state of the settings of one capture URL: texts as they were typed.
type URLForm struct {
	Name         string
	CORS         bool
	Status       string
	DelayMS      string
	Headers      string // one "Name: value" per line
	Body         string
	BodyIsBinary bool   // the body is not UTF-8 and cannot be shown in a text field: it is kept unless a new one is typed
	KeepRequests string // "" takes the default
	KeepDays     string
	KeepMiB      string
	Rate         string // requests a second; "" = no limit
	Defaults     hook.Keep
	Errors       FieldErrors // locations of hook.CaptureURL.Validate
}

// URLItem is a capture URL as the list shows it.
type URLItem struct {
	hook.CaptureURLStats
	Address string // https://hooks.example.com/in/slug
	Owner   string // e-mail; "" for one's own
	Unread  bool   // something arrived that the viewer has not seen
	Subs    SubscriptionsNote

	Unfinished int64          // deliveries that deleting would cancel; on pages of one capture URL
	Full       string         // why nothing more is taken, "" when it is; on such pages
	Refused    []tally.URLRow // since the start, newest first; on such pages
}

// APIReference is what the page of the API documents.
type APIReference struct {
	Groups  []APIGroup
	Objects []APIObject // that operations take or answer with
}

// APIGroup is operations that stand together under one heading.
type APIGroup struct {
	Name        string
	Description string
	Operations  []APIOperation
}

// APIObject is something that several operations take or answer with.
type APIObject struct {
	Name        string
	Description string
	Fields      []APIField
}

// APIOperation is one operation of the API as its page documents it.
type APIOperation struct {
	ID          string // anchor and operationId
	Method      string
	Path        string // /api/v1/capture-urls/{id}
	Summary     string
	Description string
	Parameters  []APIField
	Fields      []APIField // of the body
	Request     string     // an example body, "" when there is none
	Response    string     // an example answer, "" when there is none
	Statuses    []APIStatus
	Curl        string // a call of it, up to the address of the server
	CurlPath    string // what stands behind that
}

// APIField is a parameter, or a field of a body or an object; one inside another has its path as name.
type APIField struct {
	Name        string
	In          string // of a parameter: path, query
	Type        string
	Of          string // the name of the object that it is, or that is in the list; "" = none
	Required    bool
	Limits      []string
	Values      []string // the only ones that are allowed; nil = others are, too
	Default     string   // "" = none
	Description string
}

// APIStatus is an answer that an operation can give.
type APIStatus struct {
	Status      int
	Description string
	Of          string // the name of the object that is answered with, or of a list of those; "" = none
	List        bool
	Fields      []APIField // of what it answers with, when that has no name
}

// Problem is what an error page says.
type Problem struct {
	Status    int
	Title     string // "Not found"
	Detail    string // for the user
	RequestID string // to find the error in the log, "" when it is not worth it
	Retry     time.Duration
}
