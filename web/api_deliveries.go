package web

import (
	"bufio"
	"bytes"
	"net/http"
	"net/url"
	"strings"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
)

// deliveryJSON is a delivery as a list of the API shows it. Without an id it is one that a filter refused at capture.
type deliveryJSON struct {
	ID             *string `json:"id"`
	RequestID      string  `json:"request_id"`
	SubscriptionID *string `json:"subscription_id"`
	TargetURL      string  `json:"target_url"`
	State          string  `json:"state"`
	Reason         *string `json:"reason"`
	AttemptCount   int     `json:"attempt_count"`
	LastStatus     *int    `json:"last_status"`
	ReplayID       *string `json:"replay_id"`
	By             *string `json:"by"`
	Edited         bool    `json:"edited"`
	NextAttemptAt  *string `json:"next_attempt_at"`
	CreatedAt      *string `json:"created_at"`
}

// attemptJSON is an attempt, but for the members response_body and response_body_base64, which writeWithBody puts behind its own.
type attemptJSON struct {
	Number            int          `json:"number"`
	Trigger           string       `json:"trigger"`
	By                *string      `json:"by"`
	StartedAt         *string      `json:"started_at"`
	DurationMS        float64      `json:"duration_ms"`
	Timing            timingJSON   `json:"timing"`
	RemoteAddr        *string      `json:"remote_addr"`
	TLS               *string      `json:"tls"`
	Method            string       `json:"method"`
	URL               string       `json:"url"`
	Status            *int         `json:"status"`
	Error             *string      `json:"error"`
	RequestHeaders    []headerJSON `json:"request_headers"`
	ResponseHeaders   []headerJSON `json:"response_headers"`
	ResponseTruncated bool         `json:"response_truncated"`
}

// timingJSON has null for what did not take place.
type timingJSON struct {
	DNS       *float64 `json:"dns_ms"`
	Connect   *float64 `json:"connect_ms"`
	TLS       *float64 `json:"tls_ms"`
	FirstByte *float64 `json:"first_byte_ms"`
}

func newDeliveryJSON(d hook.Delivery) deliveryJSON {
	doc := deliveryJSON{
		ID: new(d.ID.Text(hook.DeliveryPrefix)), RequestID: d.RequestID.Text(hook.RequestPrefix), TargetURL: d.TargetURL,
		State: d.State.String(), Reason: textOrNull(d.Reason), AttemptCount: d.AttemptCount, LastStatus: numberOrNull(d.LastStatus),
		By: textOrNull(d.By), Edited: d.Edited, NextAttemptAt: apiTime(d.NextAt), CreatedAt: apiTime(d.CreatedAt),
	}
	if d.SubscriptionID != 0 {
		doc.SubscriptionID = new(d.SubscriptionID.Text(hook.SubscriptionPrefix))
	}
	if d.Ahead != nil && doc.Reason == nil {
		doc.Reason = new(d.Ahead.Words())
	}
	if d.ReplayID != 0 {
		doc.ReplayID = new(d.ReplayID.Text(hook.ReplayPrefix))
	}
	return doc
}

func numberOrNull(n int) *int {
	if n == 0 {
		return nil
	}
	return &n
}

func newAttemptJSON(a hook.Attempt) attemptJSON {
	ms := func(d interface{ Seconds() float64 }) *float64 {
		if d.Seconds() == 0 {
			return nil
		}
		return new(d.Seconds() * 1000)
	}
	return attemptJSON{
		Number: a.Number, Trigger: a.Trigger.String(), By: textOrNull(a.By), StartedAt: apiTime(a.StartedAt),
		DurationMS: a.Duration.Seconds() * 1000, RemoteAddr: textOrNull(a.RemoteAddr), TLS: textOrNull(a.TLS), Method: a.Method, URL: a.URL,
		Timing: timingJSON{ms(a.Timing.DNS), ms(a.Timing.Connect), ms(a.Timing.TLS), ms(a.Timing.FirstByte)},
		Status: numberOrNull(a.Status), Error: textOrNull(a.Error), RequestHeaders: headerList(a.RequestHeaders),
		ResponseHeaders: headerList(a.ResponseHeaders), ResponseTruncated: a.ResponseTruncated,
	}
}

// requestDeliveries returns the deliveries of a request, newest first, and behind them what filters refused at capture.
func (s *Server) requestDeliveries(r *http.Request, id hook.ID) ([]deliveryJSON, error) {
	rows, err := s.Store.Deliveries(r.Context(), actor(r), store.DeliveryPage{Request: id, Limit: hook.MaxPageItems})
	if err != nil {
		return nil, err
	}
	if err := s.Store.InOrder(r.Context(), rows); err != nil {
		return nil, err
	}
	refused, err := s.Store.Refusals(r.Context(), actor(r), id)
	if err != nil {
		return nil, err
	}
	var all []deliveryJSON
	for _, d := range rows {
		all = append(all, newDeliveryJSON(d))
	}
	for _, route := range refused {
		sub, err := s.Store.Subscription(r.Context(), actor(r), route.Subscription)
		if err != nil {
			continue // deleted since
		}
		all = append(all, deliveryJSON{
			RequestID: id.Text(hook.RequestPrefix), SubscriptionID: new(sub.ID.Text(hook.SubscriptionPrefix)), TargetURL: sub.TargetURL,
			State: hook.Skipped.String(), Reason: new(route.Rule),
		})
	}
	return all, nil
}

// GET /api/v1/deliveries
func (s *Server) apiDeliveries(w http.ResponseWriter, r *http.Request) error {
	query, err := apiQuery(r, "subscription_id", "request_id", "state", "limit", "cursor")
	if err != nil {
		return err
	}
	limit, err := queryLimit(query)
	if err != nil {
		return err
	}
	page, err := deliveryPage(query)
	if err != nil {
		return err
	}
	page.Limit = limit + 1
	read := func() ([]hook.Delivery, error) { return s.Store.Deliveries(r.Context(), actor(r), page) }
	rows, done, err := readPage(s, r, read, func(d *hook.Delivery) int { return len(d.TargetURL) + len(d.Reason) })
	defer done()
	if err == nil {
		err = s.Store.InOrder(r.Context(), rows)
	}
	if err != nil {
		return err
	}
	id := func(d hook.Delivery) string { return d.ID.Text(hook.DeliveryPrefix) }
	return writeJSON(w, http.StatusOK, newList(rows, limit, newDeliveryJSON, id))
}

// deliveryPage reads from a query which deliveries are meant.
func deliveryPage(query url.Values) (page store.DeliveryPage, err error) {
	if page.Subscription, err = queryRef(query, "subscription_id", hook.SubscriptionPrefix); err != nil {
		return page, err
	}
	if page.Request, err = queryRef(query, "request_id", hook.RequestPrefix); err != nil {
		return page, err
	}
	if page.Before, err = queryID(query, "cursor", hook.DeliveryPrefix); err != nil {
		return page, err
	}
	if query.Has("state") {
		state, ok := hook.ParseState(query.Get("state"))
		if !ok {
			return page, hook.Errorf(hook.Malformed, "state has to be one of %s.", stateWords())
		}
		page.States = []hook.State{state}
	}
	return page, nil
}

func stateWords() string {
	var words []string
	for _, state := range hook.States {
		words = append(words, state.String())
	}
	return strings.Join(words, ", ")
}

// queryRef returns the id of a thing in a parameter, 0 when it is not there.
func queryRef(query url.Values, name, prefix string) (hook.ID, error) {
	if !query.Has(name) {
		return 0, nil
	}
	id, ok := hook.ParseID(prefix, query.Get(name))
	if !ok {
		return 0, hook.Errorf(hook.NotFound, "There is nothing with the id in %s.", name)
	}
	return id, nil
}

// queryCancel reads whether a deletion may cancel unfinished deliveries.
func queryCancel(r *http.Request, known ...string) (bool, error) {
	query, err := apiQuery(r, append(known, "unfinished")...)
	if err != nil {
		return false, err
	}
	if query.Has("unfinished") && query.Get("unfinished") != "cancel" {
		return false, hook.Errorf(hook.Malformed, "unfinished can only be cancel.")
	}
	return query.Has("unfinished"), nil
}

// GET /api/v1/deliveries/{id}
func (s *Server) apiDelivery(w http.ResponseWriter, r *http.Request) error {
	id, err := apiPathID(r, hook.DeliveryPrefix)
	if err != nil {
		return err
	}
	return s.writeDelivery(w, r, http.StatusOK, id)
}

func (s *Server) writeDelivery(w http.ResponseWriter, r *http.Request, status int, id hook.ID) error {
	d, err := s.oneInOrder(r, id)
	if err != nil {
		return err
	}
	attempts, done, err := s.attempts(r, id)
	defer done()
	if err != nil {
		return err
	}
	return writePieces(w, status, func(out *bufio.Writer) error { return writeDeliveryLog(out, d, attempts) })
}

// writeDeliveryLog writes a delivery with its attempts, oldest first.
func writeDeliveryLog(out *bufio.Writer, d hook.Delivery, attempts []hook.Attempt) error {
	if err := writeOpen(out, newDeliveryJSON(d)); err != nil {
		return err
	}
	_, _ = out.WriteString(`,"attempts":[`)
	for i, a := range attempts {
		if i > 0 {
			_ = out.WriteByte(',')
		}
		if err := writeAttempt(out, a); err != nil {
			return err
		}
	}
	_, _ = out.WriteString("]}")
	return nil
}

func writeAttempt(out *bufio.Writer, a hook.Attempt) error {
	return writeWithBody(out, newAttemptJSON(a), "response_body", a.ResponseBody)
}

// POST /api/v1/deliveries/{id}/resend
func (s *Server) apiResendDelivery(w http.ResponseWriter, r *http.Request) error {
	id, err := apiPathID(r, hook.DeliveryPrefix)
	if err != nil {
		return err
	}
	made, err := s.Store.ResendDelivery(r.Context(), actor(r), user(r).Email, id)
	if err != nil {
		return err
	}
	return s.writeDelivery(w, r, http.StatusAccepted, made.ID)
}

// POST /api/v1/deliveries/{id}/cancel
func (s *Server) apiCancelDelivery(w http.ResponseWriter, r *http.Request) error {
	id, err := apiPathID(r, hook.DeliveryPrefix)
	if err != nil {
		return err
	}
	if _, err := s.Store.CancelDelivery(r.Context(), actor(r), user(r).Email, id); err != nil {
		return err
	}
	return s.writeDelivery(w, r, http.StatusOK, id)
}

// resendInput asks for a new delivery of a request. What is given of method, path, query, headers and body makes an edited
// copy, whose other parts are those of the request.
type resendInput struct {
	TargetURL      member[string]         `json:"target_url"`
	SubscriptionID member[string]         `json:"subscription_id"`
	Method         member[string]         `json:"method"`
	Path           member[string]         `json:"path"`
	Query          member[string]         `json:"query"`
	Headers        member[[]responseLine] `json:"headers"`
	Body           member[string]         `json:"body"`
	BodyBase64     member[[]byte]         `json:"body_base64"`
	Retry          member[bool]           `json:"retry"`
	SignAs         member[string]         `json:"sign_as"`
}

// POST /api/v1/requests/{id}/resend
func (s *Server) apiResend(w http.ResponseWriter, r *http.Request) error {
	id, err := apiPathID(r, hook.RequestPrefix)
	if err != nil {
		return err
	}
	var in resendInput
	if err := readJSON(r, &in); err != nil {
		return err
	}
	made, err := s.resend(r, id, &in)
	if err != nil {
		return err
	}
	return s.writeDelivery(w, r, http.StatusAccepted, made)
}

// resend makes the delivery that a document asks for. It is written when the request is out of use: who held room and waited for
// more could wait for one who does the same.
func (s *Server) resend(r *http.Request, id hook.ID, in *resendInput) (made hook.ID, err error) {
	request, done, err := s.wholeRequest(r, id)
	defer done()
	if err != nil {
		return 0, err
	}
	resend, err := s.readResend(r, in, request)
	if err != nil {
		return 0, err
	}
	all, err := s.Store.Resend(r.Context(), actor(r), user(r).Email, resend)
	if err != nil {
		return 0, err
	}
	return all[0].ID, nil
}

func (s *Server) readResend(r *http.Request, in *resendInput, request *hook.Request) (hook.Resend, error) {
	resend := hook.Resend{RequestID: request.ID, TargetURL: in.TargetURL.value}
	var sub *hook.Subscription
	switch toURL, toSub := in.TargetURL.value != "", in.SubscriptionID.value != ""; {
	case toURL && toSub:
		return resend, fieldError("target_url", "cannot be given together with subscription_id")
	case !toURL && !toSub:
		return resend, fieldError("target_url", "is missing: give it, or subscription_id in its place")
	case toSub:
		found, err := s.referredSubscription(r, "subscription_id", in.SubscriptionID.value)
		if err != nil {
			return resend, err
		}
		sub, resend.SubscriptionID, resend.Retry = &found, found.ID, true
	default:
		if err := s.checkTypedTarget("target_url", in.TargetURL.value); err != nil {
			return resend, err
		}
	}
	in.Retry.apply(&resend.Retry, resend.Retry)
	if in.SignAs.value != "" {
		if sub != nil {
			return resend, fieldError("sign_as", "is for a target_url: a subscription signs with its own secret")
		}
		found, err := s.referredSubscription(r, "sign_as", in.SignAs.value)
		if err != nil {
			return resend, err
		}
		resend.SignAs = found.ID
	}
	resend.Edit = in.edit(request, sub)
	if in.Body.value != "" && len(in.BodyBase64.value) > 0 {
		return resend, fieldError("body_base64", "must be null when there is a body")
	}
	return resend, nil
}

// referredSubscription returns the subscription that a document names.
func (s *Server) referredSubscription(r *http.Request, location, text string) (hook.Subscription, error) {
	id, ok := hook.ParseID(hook.SubscriptionPrefix, text)
	if ok {
		if sub, err := s.Store.Subscription(r.Context(), actor(r), id); err == nil {
			return sub.Subscription, nil
		}
	}
	return hook.Subscription{}, fieldError(location, "is not the id of a subscription")
}

// checkTypedTarget judges a URL that somebody typed to send a request to.
func (s *Server) checkTypedTarget(location, target string) error {
	if err := hook.ValidateTargetURL(target); err != nil {
		return fieldError(location, err.Error())
	}
	return s.checkTarget(location, target)
}

// edit returns the edited copy that the document asks for, nil when it changes nothing.
func (in *resendInput) edit(r *hook.Request, sub *hook.Subscription) *hook.Edit {
	if !in.Method.set && !in.Path.set && !in.Query.set && !in.Headers.set && !in.Body.set && !in.BodyBase64.set {
		return nil
	}
	e := newEdit(r, sub)
	in.Method.apply(&e.Method, e.Method)
	in.Path.apply(&e.Path, e.Path)
	in.Query.apply(&e.Query, e.Query)
	if in.Headers.set && !in.Headers.null {
		e.Headers = nil
		for _, line := range in.Headers.value {
			e.Headers = append(e.Headers, hook.Header(line))
		}
	}
	if in.Body.set && !in.Body.null || in.BodyBase64.set && !in.BodyBase64.null {
		e.Body = append([]byte(in.Body.value), in.BodyBase64.value...)
	}
	leaveOutBody(e, r)
	return e
}

// leaveOutBody leaves the request to say what the body is where the edited copy does not change it.
func leaveOutBody(e *hook.Edit, r *hook.Request) {
	if !r.Truncated && bytes.Equal(e.Body, r.Body) {
		e.Body = nil
	}
}

// newEdit returns the copy of a request that an editor begins with: what a delivery to the subscription, or to a typed URL
// when it is nil, would send. Credentials and the User-Agent are in it only when they would be sent.
func newEdit(r *hook.Request, sub *hook.Subscription) *hook.Edit {
	e := &hook.Edit{Method: r.Method}
	if sub != nil && sub.Method != "" {
		e.Method = sub.Method
	}
	if sub != nil && sub.AppendPath {
		e.Path, e.Query = r.SubPath(), r.Query
	}
	for _, h := range r.Headers {
		switch {
		case h.Name == "Host" || h.Name == "Content-Length" || strings.HasPrefix(h.Name, "Hookkeeper-"):
		case (h.Name == "Authorization" || h.Name == "Cookie") && (sub == nil || !sub.ForwardCredentials):
		case h.Name == "User-Agent" && (sub == nil || !sub.KeepUserAgent):
		default:
			e.Headers = append(e.Headers, h)
		}
	}
	return e
}
