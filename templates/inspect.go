package templates

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/view"
)

// Row is a request as the list shows it.
type Row struct {
	hook.Summary
	Unread   bool
	Selected bool          // it is the one that is open
	Outcome  *hook.Outcome // of its deliveries; nil when there are none
}

// RequestList is one page of the requests of a capture URL.
type RequestList struct {
	Rows  []Row // newest first
	Newer bool  // there are requests newer than the first row
	Older bool  // there are requests older than the last row
}

// Inspector is the page of one capture URL: its address, its requests, and one of them.
type Inspector struct {
	URL    URLItem
	Keep   hook.Keep // in force, with the defaults filled in
	List   RequestList
	Unread bool    // there is something that the viewer has not seen
	Detail *Detail // nil when no request is open
	Gone   bool    // the request that was asked for is not there any more
}

// SubscriptionsNote counts the subscriptions of a capture URL.
type SubscriptionsNote struct {
	Count   int
	Trouble int // of them, those that are failing, down or disabled
}

// text says how many there are, and how many need somebody.
func (n SubscriptionsNote) text() string {
	if n.Trouble > 0 {
		return counted(int64(n.Count), "subscription", "subscriptions") + ", " + number(int64(n.Trouble)) + " in trouble"
	}
	return counted(int64(n.Count), "subscription", "subscriptions")
}

// trouble says how many need somebody.
func (n SubscriptionsNote) trouble() string {
	return counted(int64(n.Trouble), "subscription", "subscriptions") + " in trouble"
}

const refusedFor = 24 * time.Hour // that the page of a capture URL tells of refusals

// refusedLately counts what was refused, for reasons that were met not long ago; the page of the settings has them all.
func (u URLItem) refusedLately(now time.Time) (n int64) {
	for _, row := range u.Refused {
		if now.Sub(row.Last) < refusedFor {
			n += row.Count
		}
	}
	return n
}

// empty reports whether nothing is kept.
func (in Inspector) empty() bool { return len(in.List.Rows) == 0 && !in.List.Newer }

// open reports whether the right side shows something that was asked for.
func (in Inspector) open() bool { return in.Detail != nil || in.Gone }

// newest returns the id of the newest row in the textual form, "" when there is none.
func (l RequestList) newest() string {
	if len(l.Rows) == 0 {
		return ""
	}
	return l.Rows[0].ID.Text(hook.RequestPrefix)
}

// latest returns the id of the newest request that the page knows of, from which on the socket tells what is new.
func (in Inspector) latest() string {
	if !in.List.Newer {
		return in.List.newest()
	}
	return in.URL.LastRequestID.Text(hook.RequestPrefix)
}

// oldest returns the id of the oldest row in the textual form.
func (l RequestList) oldest() string { return l.Rows[len(l.Rows)-1].ID.Text(hook.RequestPrefix) }

// Tab is one of the views of a request.
type Tab string

// The tabs, in their order.
const (
	TabRequest Tab = "request"
	TabHeaders Tab = "headers"
	TabRaw     Tab = "raw"
	TabHex     Tab = "hex"
	TabCurl    Tab = "curl"
	TabAnswer  Tab = "answer"

	TabDeliveries Tab = "deliveries"
)

// ParseTab returns the tab with the name, TabRequest when there is none.
func ParseTab(name string) Tab {
	switch t := Tab(name); t {
	case TabHeaders, TabRaw, TabHex, TabCurl, TabAnswer, TabDeliveries:
		return t
	}
	return TabRequest
}

// Detail is one request, opened.
type Detail struct {
	Request *hook.Request
	URL     hook.CaptureURL // which has the answer that is given now
	Tab     Tab
	Newer   hook.ID // its neighbours in the list, 0 at the ends
	Older   hook.ID

	Deliveries RequestDeliveries
}

// path returns where the request is, with the tab.
func (d Detail) path(tab Tab) string { return withTab(requestPath(d.URL.ID, d.Request.ID), tab) }

// neighbourPath returns where a neighbour is, with the tab that is open.
func (d Detail) neighbourPath(id hook.ID) string { return withTab(requestPath(d.URL.ID, id), d.Tab) }

func withTab(path string, tab Tab) string {
	if tab == TabRequest {
		return path
	}
	return path + "?tab=" + string(tab)
}

// readable reports whether the body is better read as text than as a dump.
func (d Detail) readable() bool {
	kinds := view.Kinds(d.Request)
	return len(kinds) > 0 && kinds[0] != view.KindHex
}

// everyday are headers that say how a request travelled, not what it means.
var everyday = []string{
	"Host", "Accept", "Accept-Encoding", "Accept-Language", "Cache-Control", "Connection", "Content-Length", "Cookie",
	"Forwarded", "Origin", "Pragma", "Priority", "Referer", "Te", "Upgrade-Insecure-Requests", "Via", "X-Real-Ip",
	"Dnt", "Keep-Alive", "Cdn-Loop", "Transfer-Encoding",
}

const maxTellingHeaders = 12

// tellingHeaders returns the headers that a reader looks for first: what a sender adds itself.
func tellingHeaders(headers []hook.Header) []hook.Header {
	var telling []hook.Header
	for _, h := range headers {
		travel := slices.Contains(everyday, h.Name) || strings.HasPrefix(h.Name, "X-Forwarded-") ||
			strings.HasPrefix(h.Name, "Sec-") || strings.HasPrefix(h.Name, "Cf-")
		if !travel && len(telling) < maxTellingHeaders {
			telling = append(telling, h)
		}
	}
	return telling
}

// statusText returns a status with its name: "200 OK".
func statusText(status int) string {
	text := view.Count(int64(status))
	if name := http.StatusText(status); name != "" {
		text += " " + name
	}
	return text
}

// RequestTitle names a request in the title of a document.
func RequestTitle(s *hook.Summary) string { return s.Method + " " + target(s) }

// pausedWhy ties a button that waits until capturing is resumed to the text that says so.
func pausedWhy(u URLItem) templ.Attributes {
	if !u.Paused {
		return nil
	}
	return templ.Attributes{"aria-describedby": "paused-why"}
}
