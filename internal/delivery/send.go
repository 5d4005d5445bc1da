package delivery

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/egress"
	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
)

// attempt sends one delivery and returns what came of it.
func (w *Worker) attempt(ctx context.Context, sub *subscription, c store.Claim) (r store.Result) {
	began := time.Now()
	defer w.recovered(&c, func(mistake hook.Next) { r = store.Result{Claim: c, Next: mistake} })
	probe := sub != nil && sub.Health.Down() && !sub.SendsAnyway(&c.Delivery)
	request, edit, why := w.load(ctx, &c)
	if why != nil {
		return store.Result{Claim: c, Next: *why, Probe: probe && !why.State.Finished()}
	}
	m := message{
		delivery: &c.Delivery, request: request, edit: edit, number: c.AttemptCount + 1, at: began, version: w.Version,
		signing: hook.Signing{Scheme: hook.SignNone},
	}
	if sub != nil {
		m.sub, m.signing = &sub.Subscription, sub.Signing
	} else if c.SignAs != 0 {
		as, err := w.Store.Subscription(ctx, hook.System, c.SignAs)
		if err != nil {
			return store.Result{Claim: c, Next: hook.Next{State: hook.Failed, Reason: "the subscription that was to sign it is gone"}}
		}
		m.signing = as.Signing
	}
	a, err := w.send(ctx, &m)
	if failure, ok := errors.AsType[*egress.Error](err); ok && failure.Ours() {
		return store.Result{Claim: c, Probe: probe, Next: *w.later("this server could not open a connection: "+failure.Message, err)}
	}
	a.DeliveryID, a.Number, a.Trigger, a.By = c.ID, m.number, triggerOf(&c, probe), c.By
	if c.AttemptCount > 0 {
		a.By = ""
	}
	return judge(sub, c, &a, err, probe)
}

// recovered is deferred where a delivery is worked on: a panic is the end of that one and must not take the others with it.
func (w *Worker) recovered(c *store.Claim, end func(hook.Next)) {
	if p := recover(); p != nil {
		w.Log.Error("a delivery panicked", "delivery", c.ID.Text(hook.DeliveryPrefix), "panic", p, "stack", string(debug.Stack()))
		end(hook.Next{State: hook.Failed, Reason: "Hookkeeper made a mistake here, please report it"})
	}
}

// triggerOf says what makes the next attempt of a delivery happen.
func triggerOf(c *store.Claim, probe bool) hook.Trigger {
	switch {
	case probe:
		return hook.TriggerProbe
	case c.AttemptCount > 0:
		return hook.TriggerRetry
	}
	return c.Trigger
}

// load returns the request to send and the edited copy of it, nil when there is none, or what becomes of the delivery instead.
func (w *Worker) load(ctx context.Context, c *store.Claim) (*hook.Request, *hook.Edit, *hook.Next) {
	request, err := w.recent.get(c.RequestID), error(nil)
	if request == nil {
		request, err = w.Store.RequestToSend(ctx, c.RequestID)
	}
	var edit *hook.Edit
	if err == nil && c.Edited {
		edit, err = w.Store.EditToSend(ctx, c.ID)
	}
	switch {
	case hook.Is(err, hook.NotFound):
		return nil, nil, &hook.Next{State: hook.Cancelled, Reason: "the request was deleted"}
	case err != nil && ctx.Err() != nil:
		return nil, nil, &hook.Next{State: c.State, Reason: c.Reason, At: c.NextAt}
	case errors.Is(err, store.ErrDamaged):
		w.Log.Error("a request is damaged", "request", c.RequestID.Text(hook.RequestPrefix), "error", err)
		return nil, nil, &hook.Next{State: hook.Failed, Reason: "the request cannot be read: " + err.Error()}
	case err != nil:
		return nil, nil, w.later("the request could not be read", err)
	case request.Truncated && !c.Edited:
		return nil, nil, &hook.Next{State: hook.Failed, Reason: "the body was over the limit and was not kept"}
	}
	return request, edit, nil
}

// errBeforeSending is why an attempt was not even tried. It is final.
var errBeforeSending = errors.New("not sent")

// send makes an attempt. The error is *egress.Refused, *egress.Error, or wraps errBeforeSending; the attempt has its words.
func (w *Worker) send(ctx context.Context, m *message) (hook.Attempt, error) {
	a := hook.Attempt{StartedAt: m.at, Method: m.method()}
	url, err := m.url()
	a.URL = url
	var headers []hook.Header
	if err == nil {
		headers, a.RequestHeaders, err = m.headers()
	}
	if err != nil {
		a.Error = err.Error()
		return a, fmt.Errorf("%w: %w", errBeforeSending, err)
	}
	answer, err := w.Guard.Do(ctx, egress.Request{
		Method: a.Method, URL: url, Header: headers, Body: m.body(), Timeout: m.timeout(),
	})
	a.Duration, a.RemoteAddr, a.TLS = answer.Timing.Total, answer.RemoteAddr, answer.TLS
	a.Timing = hook.Timing{
		DNS: answer.Timing.DNS, Connect: answer.Timing.Connect, TLS: answer.Timing.TLS, FirstByte: answer.Timing.FirstByte,
	}
	a.ResponseHeaders, a.ResponseBody, a.ResponseTruncated = answer.Headers, answer.Body, answer.Truncated
	if err != nil {
		a.Error = err.Error()
		return a, err
	}
	a.Status = answer.Status
	return a, nil
}

// judge decides what becomes of a delivery after an attempt.
func judge(sub *subscription, c store.Claim, a *hook.Attempt, err error, probe bool) store.Result {
	r := store.Result{Claim: c, Attempt: a, Probe: probe, Tells: sub != nil}
	now := a.StartedAt.Add(a.Duration)
	if errors.Is(err, context.Canceled) { // Hookkeeper stops
		r.Tells, r.Probe, r.Next = false, true, hook.Next{State: c.State, Reason: c.Reason, At: c.NextAt}
		return r
	}
	if a.OK() {
		r.Counts, r.Next = true, hook.Next{State: hook.Succeeded}
		return r
	}
	_, refused := errors.AsType[*egress.Refused](err)
	var retryAfter time.Duration
	switch a.Status {
	case http.StatusGone:
		r.Disable = "the target answered 410 Gone"
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		if pause, ok := hook.ParseRetryAfter(a.Answer("Retry-After"), now); ok {
			retryAfter = pause
			r.QuietUntil = now.Add(pause) // as asked: pages and the API repeat it
		}
	}
	switch {
	case errors.Is(err, errBeforeSending):
		r.Tells, r.Counts, r.Next = false, true, hook.Next{State: hook.Failed, Reason: a.Error}
	case a.Status == http.StatusGone:
		r.Counts, r.Next = true, hook.Next{State: hook.Failed, Reason: a.Words()}
	case probe && (!sub.Ordered || a.Status == 0):
		r.Next = hook.Next{State: hook.Waiting, Reason: a.Words()}
	case refused, !c.Retry:
		r.Counts, r.Next = true, hook.Next{State: hook.Failed, Reason: a.Words()}
	default:
		r.Counts, r.Next = true, retryOf(sub).After(c.Used+1, a.Words(), now, retryAfter)
	}
	return r
}

func retryOf(sub *subscription) hook.Retry {
	if sub == nil {
		return hook.NewSubscription().Retry
	}
	return sub.Retry
}

// Try sends a request to the target of a subscription, which need not be stored, as a delivery would be, and returns what
// came of it. Nothing is stored.
func (w *Worker) Try(ctx context.Context, sub hook.Subscription, r *hook.Request) hook.Attempt {
	ids := &hook.IDs{}
	now := time.Now()
	d := &hook.Delivery{ID: ids.Next(now), RequestID: r.ID, Trigger: hook.TriggerTest}
	if r.ID == 0 {
		d.RequestID = d.ID
	}
	m := message{delivery: d, request: r, sub: &sub, signing: sub.Signing, number: 1, at: now, version: w.Version}
	a, _ := w.send(ctx, &m) // the attempt has the error in words
	a.Number, a.Trigger = 1, hook.TriggerTest
	return a
}
