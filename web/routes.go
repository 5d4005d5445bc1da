package web

import (
	"net/http"
	"path"
	"strings"
)

// access is who may use a route.
type access int

const (
	anyHost access = iota // anybody, on any host name
	anybody               // on a known host; a login is used when there is one
	users                 // who is logged in
	admins                // of them, those who are admins
	tokens                // whoever sends an API token
)

// body is what a route reads from the request.
type body int

const (
	noBody       body = iota
	formBody          // application/x-www-form-urlencoded, at most hook.MaxFormBytes, parsed into r.PostForm
	jsonBody          // application/json, at most hook.MaxJSONBytes, read by readJSON
	optionalJSON      // as jsonBody, or no body at all, which stands for {}
)

type route struct {
	pattern string // of http.ServeMux, without the base path
	access  access
	body    body
	handle  handler
}

// handler answers a request or returns an error, before it has written anything.
type handler func(w http.ResponseWriter, r *http.Request) error

// routeList is every route but /in/, which is dispatched by ServeHTTP before any router sees it.
func (s *Server) routeList() []route {
	return []route{
		{"GET /healthz", anyHost, noBody, s.healthz},
		{"GET /readyz", anyHost, noBody, s.readyz},
		{"GET /static/{name...}", anyHost, noBody, s.staticFile},

		{"GET /setup", anybody, noBody, s.setupPage},
		{"POST /setup", anybody, formBody, s.setup},
		{"GET /login", anybody, noBody, s.loginPage},
		{"POST /login", anybody, formBody, s.login},
		{"POST /logout", anybody, noBody, s.logout},
		{"GET /invite", anybody, noBody, s.invitePage},
		{"POST /invite", anybody, formBody, s.acceptInvite},

		{"GET /{$}", users, noBody, s.homePage},
		{"GET /live", users, noBody, s.homeSocket},
		{"GET /urls/new", users, noBody, s.newURLPage},
		{"POST /urls", users, formBody, s.createURL},
		{"GET /urls/{id}", users, noBody, s.urlPage},
		{"GET /urls/{id}/live", users, noBody, s.urlSocket},
		{"POST /urls/{id}/seen", users, formBody, s.markSeen},
		{"POST /urls/{id}/test", users, noBody, s.sendTest},
		{"POST /urls/{id}/pause", users, formBody, s.pauseURL},
		{"GET /urls/{id}/settings", users, noBody, s.urlSettingsPage},
		{"POST /urls/{id}/settings", users, formBody, s.saveURLSettings},
		{"GET /urls/{id}/clear", users, noBody, s.clearPage},
		{"POST /urls/{id}/clear", users, noBody, s.clearURL},
		{"GET /urls/{id}/delete", users, noBody, s.deleteURLPage},
		{"POST /urls/{id}/delete", users, noBody, s.deleteURL},
		{"GET /urls/{id}/requests/{rid}", users, noBody, s.showRequest},
		{"GET /urls/{id}/requests/{rid}/body", users, noBody, s.downloadRequest},
		{"POST /urls/{id}/requests/{rid}/delete", users, noBody, s.removeRequest},

		{"POST /urls/{id}/resend", users, formBody, s.resendSelected},
		{"POST /urls/{id}/requests/{rid}/resend", users, formBody, s.resendRequest},
		{"GET /urls/{id}/requests/{rid}/resent", users, noBody, s.resentPage},
		{"GET /urls/{id}/requests/{rid}/edit", users, noBody, s.editRequestPage},
		{"POST /urls/{id}/requests/{rid}/edit", users, formBody, s.sendEdited},

		{"GET /urls/{id}/subscriptions", users, noBody, s.subscriptionsPage},
		{"POST /urls/{id}/subscriptions", users, formBody, s.createSubscriptionForm},
		{"GET /urls/{id}/subscriptions/new", users, noBody, s.newSubscriptionPage},
		{"GET /subscriptions/{id}", users, noBody, s.subscriptionPage},
		{"GET /subscriptions/{id}/edit", users, noBody, s.editSubscriptionPage},
		{"POST /subscriptions/{id}/edit", users, formBody, s.saveSubscription},
		{"POST /subscriptions/{id}/pause", users, formBody, s.pauseSubscription},
		{"POST /subscriptions/{id}/enable", users, noBody, s.enableSubscription},
		{"POST /subscriptions/{id}/deliver-now", users, noBody, s.deliverNow},
		{"GET /subscriptions/{id}/discard", users, noBody, s.discardPage},
		{"POST /subscriptions/{id}/discard", users, noBody, s.discardHeld},
		{"POST /subscriptions/{id}/rotate", users, formBody, s.rotateSecretForm},
		{"GET /subscriptions/{id}/delete", users, noBody, s.deleteSubscriptionPage},
		{"POST /subscriptions/{id}/delete", users, noBody, s.deleteSubscription},
		{"GET /subscriptions/{id}/replay", users, noBody, s.newReplayPage},
		{"POST /subscriptions/{id}/replay", users, formBody, s.startReplay},
		{"GET /replays/{id}", users, noBody, s.replayPage},
		{"POST /replays/{id}/cancel", users, noBody, s.cancelReplay},
		{"GET /urls/{id}/deliveries", users, noBody, s.deliveriesPage},
		{"GET /deliveries/{id}", users, noBody, s.deliveryPage},
		{"POST /deliveries/{id}/resend", users, noBody, s.resendDelivery},
		{"POST /deliveries/resend", users, formBody, s.resendDeliveries},
		{"POST /deliveries/{id}/cancel", users, noBody, s.cancelDelivery},

		{"GET /settings", users, noBody, s.settingsPage},
		{"GET /settings/password", users, noBody, s.backToSettings},
		{"POST /settings/password", users, formBody, s.changePassword},
		{"POST /settings/sessions/end", users, noBody, s.logOutEverywhere},
		{"GET /settings/tokens", users, noBody, s.backToSettings},
		{"POST /settings/tokens", users, formBody, s.createToken},
		{"POST /settings/tokens/{id}/revoke", users, noBody, s.revokeToken},
		{"GET /settings/server", admins, noBody, s.serverPage},
		{"GET /settings/users", admins, noBody, s.backToSettings},
		{"POST /settings/users", admins, formBody, s.addUser},
		{"POST /settings/users/{id}/invite", admins, noBody, s.inviteUser},
		{"GET /settings/users/{id}/delete", admins, noBody, s.deleteUserPage},
		{"POST /settings/users/{id}/delete", admins, formBody, s.deleteUser},
		{"POST /settings/slugs/release", users, formBody, s.releaseSlugs},

		{"GET /api/openapi.json", anybody, noBody, s.openAPIDocument},
		{"GET /api/docs", anybody, noBody, s.docsPage},
		{"POST /api/v1/capture-urls", tokens, jsonBody, s.apiCreateCaptureURL},
		{"GET /api/v1/capture-urls", tokens, noBody, s.apiCaptureURLs},
		{"GET /api/v1/capture-urls/{id}", tokens, noBody, s.apiCaptureURL},
		{"PATCH /api/v1/capture-urls/{id}", tokens, jsonBody, s.apiUpdateCaptureURL},
		{"DELETE /api/v1/capture-urls/{id}", tokens, noBody, s.apiDeleteCaptureURL},
		{"GET /api/v1/capture-urls/{id}/requests", tokens, noBody, s.apiRequests},
		{"DELETE /api/v1/capture-urls/{id}/requests", tokens, noBody, s.apiClearRequests},
		{"GET /api/v1/capture-urls/{id}/requests/latest", tokens, noBody, s.apiLatestRequest},
		{"GET /api/v1/requests/{id}", tokens, noBody, s.apiRequest},
		{"GET /api/v1/requests/{id}/body", tokens, noBody, s.apiRequestBody},
		{"DELETE /api/v1/requests/{id}", tokens, noBody, s.apiDeleteRequest},
		{"POST /api/v1/requests/{id}/resend", tokens, jsonBody, s.apiResend},
		{"POST /api/v1/capture-urls/{id}/subscriptions", tokens, jsonBody, s.apiCreateSubscription},
		{"GET /api/v1/subscriptions", tokens, noBody, s.apiSubscriptions},
		{"GET /api/v1/subscriptions/{id}", tokens, noBody, s.apiSubscription},
		{"PATCH /api/v1/subscriptions/{id}", tokens, jsonBody, s.apiUpdateSubscription},
		{"DELETE /api/v1/subscriptions/{id}", tokens, noBody, s.apiDeleteSubscription},
		{"POST /api/v1/subscriptions/{id}/rotate-secret", tokens, optionalJSON, s.apiRotateSecret},
		{"POST /api/v1/subscriptions/{id}/test", tokens, noBody, s.apiTestSubscription},
		{"POST /api/v1/subscriptions/{id}/dry-run", tokens, optionalJSON, s.apiDryRun},
		{"POST /api/v1/subscriptions/{id}/discard", tokens, noBody, s.apiDiscard},
		{"POST /api/v1/subscriptions/{id}/deliver-now", tokens, noBody, s.apiDeliverNow},
		{"POST /api/v1/subscriptions/{id}/replays", tokens, optionalJSON, s.apiCreateReplay},
		{"GET /api/v1/subscriptions/{id}/replays", tokens, noBody, s.apiReplays},
		{"GET /api/v1/replays/{id}", tokens, noBody, s.apiReplay},
		{"POST /api/v1/replays/{id}/cancel", tokens, noBody, s.apiCancelReplay},
		{"GET /api/v1/deliveries", tokens, noBody, s.apiDeliveries},
		{"GET /api/v1/deliveries/{id}", tokens, noBody, s.apiDelivery},
		{"POST /api/v1/deliveries/{id}/resend", tokens, noBody, s.apiResendDelivery},
		{"POST /api/v1/deliveries/{id}/cancel", tokens, noBody, s.apiCancelDelivery},
	}
}

// wrap puts around a route what stands between ServeHTTP and its handler, in this order: who asks, may they, the body.
func (s *Server) wrap(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r, err := s.admit(r, rt.access)
		if err == nil {
			err = readBody(w, r, rt.body)
		}
		if err == nil {
			err = rt.handle(w, r)
		}
		if err != nil {
			s.fail(w, r, err)
		}
	})
}

// ServeHTTP dispatches on the request target as it was sent. What is for /in/ goes to the capture handler untouched,
// whatever the path looks like; everything else has to be a clean path of the dashboard.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer s.recoverPanic(w, r)
	if r.Method == http.MethodConnect {
		s.setSecurityHeaders(w, r)
		s.fail(w, r, errMethod)
		return
	}
	target := stripBase(originForm(r.RequestURI), s.Site.BasePath())
	if strings.HasPrefix(target, "/in/") && s.captures(r) {
		s.Capture.ServeHTTP(w, withTarget(r, target))
		return
	}
	s.serveSite(w, r, target)
}

// captures reports whether the request's host is one that /in/ is served on: every one, or, when capture URLs have a
// host of their own, every one but the dashboard's.
func (s *Server) captures(r *http.Request) bool {
	return s.Site.Capture == nil || s.Site.IsCaptureHost(r) || !s.Site.Known(r)
}

// originForm returns path and query of a request target, "" when it has none ("*", or the authority of a CONNECT).
// A proxy may send the absolute form of RFC 9112 section 3.2.2: http://host/path.
func originForm(target string) string {
	if strings.HasPrefix(target, "/") {
		return target
	}
	_, rest, ok := strings.Cut(target, "://")
	if !ok {
		return ""
	}
	i := strings.IndexAny(rest, "/?")
	switch {
	case i < 0:
		return "/"
	case rest[i] == '?':
		return "/" + rest[i:]
	}
	return rest[i:]
}

// stripBase removes the base path of the dashboard from a target. A proxy may have removed it already.
func stripBase(target, base string) string {
	rest, ok := strings.CutPrefix(target, base)
	switch {
	case base == "" || !ok:
		return target
	case rest == "" || rest[0] == '?':
		return "/" + rest
	case rest[0] == '/':
		return rest
	}
	return target
}

// withTarget returns the request with another RequestURI.
func withTarget(r *http.Request, target string) *http.Request {
	if r.RequestURI == target {
		return r
	}
	r2 := *r
	r2.RequestURI = target
	return &r2
}

// cleanPath reports whether a raw path has the one form in which the dashboard knows it, without "//", "/../" and a slash at
// its end. An escape is no part of any of our paths, so it just finds nothing.
func cleanPath(p string) bool { return strings.HasPrefix(p, "/") && path.Clean(p) == p }
