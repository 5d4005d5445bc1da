package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/egress"
	"github.com/hookkeeper/hookkeeper/internal/filter"
	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/signing"
)

// What the dashboard and the API do to subscriptions goes through the functions in this file, so that both refuse the same
// and say it in the same words. Fields are located by their names in the API.

// readySubscription brings a subscription into the form that is stored: names of headers are canonical, and there is a secret
// where its scheme needs one. The error is an Invalid one that names every mistake.
func (s *Server) readySubscription(sub *hook.Subscription) error {
	sub.Filter.Normalize()
	for i, h := range sub.Headers {
		sub.Headers[i].Name = textproto.CanonicalMIMEHeaderKey(h.Name)
	}
	err := joinInvalid(sub.Validate(), s.checkTarget("target_url", sub.TargetURL), checkJQ(sub.Filter.JQ), checkSecret(sub))
	if err != nil {
		return err
	}
	switch {
	case sub.Signing.Scheme == hook.SignNone:
		sub.Signing.Secrets = nil
	case sub.Signing.Current() == "":
		sub.Signing.Secrets = []hook.Secret{{Text: signing.NewSecret(sub.Signing.Scheme)}}
	}
	return nil
}

// checkTarget refuses a URL that deliveries would not reach. It is the one error that repeats what was typed: the address, so
// that an operator knows what to allow.
func (s *Server) checkTarget(location, target string) error {
	if s.CheckTarget == nil || target == "" || hook.ValidateTargetURL(target) != nil {
		return nil
	}
	err := s.CheckTarget(target)
	if refused, ok := errors.AsType[*egress.Refused](err); ok {
		return fieldError(location, "cannot be reached: "+strings.TrimPrefix(refused.Error(), "refused: "))
	}
	if err != nil {
		return fieldError(location, err.Error())
	}
	return nil
}

// circle says what to expect of a target that is a capture URL of this server, "" of any other. It is no mistake: a request may well
// go from one capture URL to the next.
func (s *Server) circle(r *http.Request, captureURL hook.ID, target string) string {
	slug := s.Site.SlugOf(r, strings.TrimSpace(target))
	if slug == "" {
		return ""
	}
	switch u := s.Store.CaptureURLBySlug(slug); {
	case u == nil:
		return ""
	case u.ID == captureURL:
		return fmt.Sprintf("This is the address of the same capture URL: what is delivered there comes back and is delivered again, "+
			"until the server ends the circle after %d rounds.", hook.MaxHops)
	}
	return fmt.Sprintf("This is a capture URL of this server. Should it deliver back here, the server ends the circle after %d rounds.", hook.MaxHops)
}

// checkFilter judges the filter of a subscription alone.
func (s *Server) checkFilter(sub *hook.Subscription) error {
	probe := hook.NewSubscription()
	probe.Name, probe.TargetURL, probe.Filter = "filter", "https://example.com", sub.Filter
	return joinInvalid(probe.Validate(), checkJQ(sub.Filter.JQ))
}

func checkJQ(jq string) error {
	if jq == "" || len(jq) > hook.MaxJQ {
		return nil
	}
	if _, err := filter.Compile(jq); err != nil {
		return fieldError("filter.jq", err.Error())
	}
	return nil
}

// checkSecret judges the current secret by the scheme that it is used for. One that belongs to another scheme, because the
// scheme was changed, is dropped.
func checkSecret(sub *hook.Subscription) error {
	current := sub.Signing.Current()
	if current == "" || sub.Signing.Scheme == hook.SignNone {
		return nil
	}
	if err := signing.ValidateSecret(sub.Signing.Scheme, current); err != nil {
		return fieldError("signing.secret", err.Error())
	}
	return nil
}

// createSubscription checks and stores a new subscription.
func (s *Server) createSubscription(ctx context.Context, by hook.Actor, sub *hook.Subscription) error {
	if err := s.readySubscription(sub); err != nil {
		return err
	}
	return s.Store.CreateSubscription(ctx, by, sub)
}

// updateSubscription lets change alter a subscription, checks the result and stores it.
func (s *Server) updateSubscription(ctx context.Context, by hook.Actor, id hook.ID, change func(*hook.Subscription) error) (hook.SubscriptionStatus, error) {
	return s.Store.UpdateSubscription(ctx, by, id, func(sub *hook.Subscription) error {
		before := sub.Signing
		if err := change(sub); err != nil {
			return err
		}
		if sub.Signing.Scheme != before.Scheme && sub.Signing.Current() == before.Current() {
			sub.Signing.Secrets = nil // a secret has the form that its scheme gives it
		}
		return s.readySubscription(sub)
	})
}

// rotateSecret gives a subscription a new secret, a generated one unless there is a text. The one before signs beside it for
// the overlap.
func (s *Server) rotateSecret(ctx context.Context, by hook.Actor, id hook.ID, text string, overlap time.Duration) (hook.SubscriptionStatus, error) {
	if overlap < 0 || overlap > maxOverlap {
		return hook.SubscriptionStatus{}, fieldError("overlap_seconds", fmt.Sprintf("must be between 0 and %d", int(maxOverlap.Seconds())))
	}
	return s.Store.UpdateSubscription(ctx, by, id, func(sub *hook.Subscription) error {
		scheme := sub.Signing.Scheme
		if scheme == hook.SignNone {
			return hook.Errorf(hook.Conflict, "This subscription does not sign: choose a scheme first.")
		}
		if text == "" {
			text = signing.NewSecret(scheme)
		} else if err := signing.ValidateSecret(scheme, text); err != nil {
			return fieldError("secret", err.Error())
		}
		sub.Signing = signing.Rotate(sub.Signing, text, overlap, time.Now())
		return nil
	})
}

const (
	defaultOverlap = 24 * time.Hour
	maxOverlap     = 30 * 24 * time.Hour
)

// pause and enable change a hold and note who did so.
func pause(h *hook.Hold, paused bool, by string) {
	if paused == h.Paused {
		return
	}
	h.Paused, h.PausedBy, h.PausedAt = paused, "", time.Time{}
	if paused {
		h.PausedBy, h.PausedAt = by, time.Now().UTC().Truncate(time.Microsecond)
	}
}

func enable(h *hook.Hold, enabled bool, by string) {
	if enabled == !h.Disabled {
		return
	}
	h.Disabled, h.DisabledReason, h.DisabledAt = !enabled, "", time.Time{}
	if !enabled {
		h.DisabledReason, h.DisabledAt = "by "+by, time.Now().UTC().Truncate(time.Microsecond)
	}
}

// sampleRequest is what a target is tried with before there is anything to deliver.
func sampleRequest(sub *hook.Subscription) *hook.Request {
	body := `{"type":"hookkeeper.test","timestamp":` + strconv.Quote(time.Now().UTC().Format(time.RFC3339)) +
		`,"data":{"message":"Hookkeeper tries out a subscription."}}`
	method := sub.Method
	if method == "" {
		method = "POST"
	}
	return &hook.Request{
		Summary: hook.Summary{
			Method: method, Path: "/in/test", ContentType: "application/json", BodySize: int64(len(body)), ReceivedAt: time.Now(),
		},
		Headers: []hook.Header{{Name: "Content-Type", Value: "application/json"}},
		Body:    []byte(body),
	}
}

// trySubscription sends a sample request to the target of a subscription, which need not be stored.
func (s *Server) trySubscription(ctx context.Context, by hook.Actor, sub hook.Subscription) (hook.Attempt, error) {
	if s.Try == nil {
		return hook.Attempt{}, hook.Errorf(hook.Unavailable, "This server does not deliver.")
	}
	done, err := s.tries.begin(by.UserID)
	if err != nil {
		return hook.Attempt{}, err
	}
	defer done()
	return s.Try(ctx, sub, sampleRequest(&sub)), nil
}

// dryRun is what a filter would have made of stored requests.
type dryRun struct {
	Matched int
	Total   int
	Items   []dryRunItem // newest first
}

type dryRunItem struct {
	hook.Summary
	filter.Verdict
}

// dryRun tries a filter on the last requests of a capture URL.
func (s *Server) dryRun(ctx context.Context, by hook.Actor, captureURL hook.ID, f hook.Filter, last int) (dryRun, error) {
	match, err := filter.NewMatcher(f)
	if err != nil {
		return dryRun{}, fieldError("filter.jq", err.Error())
	}
	done, err := s.tries.begin(by.UserID)
	if err != nil {
		return dryRun{}, err
	}
	defer done()
	ctx, cancel := context.WithTimeout(ctx, hook.DryRunTime)
	defer cancel()
	var run dryRun
	err = s.Store.EachRequest(ctx, by, captureURL, last, func(r *hook.Request) error {
		item := dryRunItem{r.Summary, match.Match(ctx, r)}
		run.Total++
		if item.Matched {
			run.Matched++
		}
		run.Items = append(run.Items, item)
		return ctx.Err()
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return run, hook.Errorf(hook.Unavailable, "The dry run took longer than %s: try a simpler filter, or fewer requests.", hook.DryRunTime)
	}
	return run, err
}
