// Package templates says what each page looks like, and nothing else: templ functions with typed arguments, and pure
// helpers that format values. It reads no request and opens no database; whoever calls it has everything at hand.
//
// What strangers sent is only ever text here: templ escapes it, and no component hands it to the browser as HTML, as a
// style or as a script. Pages work as links and plain forms without JavaScript; static/app.js adds to them.
//
// A form names its address and its fields in the comment of its component.
package templates

import (
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/static"
)

// Page is what every page needs besides its content.
type Page struct {
	Title       string    // of the document; " · Hookkeeper" is added
	Base        string    // path that the dashboard is mounted at: "" or "/sub"
	CaptureBase string    // what stands before /in/{slug} in addresses: https://hooks.example.com
	Now         time.Time // when the page is made: relative times count from it
	Email       string    // who is logged in, "" when nobody is
	Admin       bool      // the user manages users and sees every capture URL
	AuthNone    bool      // there is no login: each page says so
	Flash       string    // what the last form did, shown once
	Degraded    string    // what is wrong with the server, "" when nothing is
	Crumbs      []Crumb   // where we are, outermost first; the last one is this page
	Live        string    // path of the page's WebSocket, "" when it has none
}

// shortCrumb is how long a name may be that is shown in full, however little room there is.
const shortCrumb = 5

// Crumb is one step of the way to a page.
type Crumb struct {
	Name string
	Path string // as Href takes it; "" for the page itself
}

// Href returns the address of a path of the dashboard, below the path that it is mounted at.
func (p Page) Href(path string) string { return p.Base + path }

// Asset returns the address of a file of package static.
func (p Page) Asset(name string) string { return p.Base + static.URL(name) }

// FieldErrors are the mistakes of a form, by the location of the field.
type FieldErrors []hook.FieldError

// At returns what is wrong with the field, "" when nothing is.
func (e FieldErrors) At(location string) string {
	for _, f := range e {
		if f.Location == location {
			return f.Message
		}
	}
	return ""
}
