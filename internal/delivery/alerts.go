package delivery

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/egress"
	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/signing"
	"github.com/hookkeeper/hookkeeper/internal/store"
)

const maxAlerts = 100 // that wait; one more and it is only logged

// alertPauses are the pauses between the attempts of an alert.
var alertPauses = []time.Duration{5 * time.Second, time.Minute}

// Alerts posts to one URL, signed with Standard Webhooks, what an operator should know: subscriptions that go down, recover or
// are disabled, and that requests cannot be stored. No method blocks.
type Alerts struct {
	guard   *egress.Guard
	url     string
	signing hook.Signing
	version string
	log     *slog.Logger
	ids     hook.IDs
	queue   chan alert
}

// alert is the body of a post, in the form that Standard Webhooks recommends.
type alert struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      alertData `json:"data"`
}

type alertData struct {
	SubscriptionID string `json:"subscription_id"` // "" when it is about the server
	CaptureURLID   string `json:"capture_url_id"`
	Name           string `json:"name"`
	TargetURL      string `json:"target_url"`
	Reason         string `json:"reason"` // in words
	Unfinished     int64  `json:"unfinished"`
}

// NewAlerts returns alerts to a URL, signed with a whsec_ secret. An empty url makes alerts that are only logged.
func NewAlerts(guard *egress.Guard, url, secret, version string, log *slog.Logger) *Alerts {
	return &Alerts{
		guard: guard, url: url, version: version, log: log, queue: make(chan alert, maxAlerts),
		signing: hook.Signing{Scheme: hook.SignStandard, Secrets: []hook.Secret{{Text: secret}}},
	}
}

// Changed tells of subscriptions.
func (a *Alerts) Changed(all []store.Changed) {
	for _, c := range all {
		data := alertData{
			SubscriptionID: c.ID.Text(hook.SubscriptionPrefix), CaptureURLID: c.CaptureURLID.Text(hook.CaptureURLPrefix),
			Name: c.Name, TargetURL: c.TargetURL, Reason: c.HeldWhy(), Unfinished: c.Counts.Unfinished,
		}
		switch c.Change {
		case hook.WentDown:
			a.tell("subscription.down", data)
		case hook.Disabled:
			a.tell("subscription.disabled", data)
		default:
			data.Reason = "the target answers again"
			a.tell("subscription.recovered", data)
		}
	}
}

// Degraded tells that requests cannot be stored, with a sentence, or can be again, with "".
func (a *Alerts) Degraded(message string) {
	if message == "" {
		a.tell("server.recovered", alertData{Reason: "Requests are stored again."})
		return
	}
	a.tell("server.degraded", alertData{Reason: message})
}

func (a *Alerts) tell(what string, data alertData) {
	a.log.Warn("alert", "type", what, "subscription", data.SubscriptionID, "name", data.Name, "reason", data.Reason)
	if a.url == "" {
		return
	}
	select {
	case a.queue <- alert{what, time.Now().UTC(), data}:
	default:
		a.log.Error("an alert was not sent, because too many wait", "type", what)
	}
}

// Run posts until ctx ends.
func (a *Alerts) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case next := <-a.queue:
			a.post(ctx, next)
		}
	}
}

// post makes the attempts of one alert.
func (a *Alerts) post(ctx context.Context, next alert) {
	body, err := json.Marshal(next)
	if err != nil {
		panic(err) // texts and numbers only
	}
	id := a.ids.Next(time.Now()).Text("msg_")
	for i := 0; ; i++ {
		err := a.try(ctx, id, body)
		if err == "" {
			return
		}
		a.log.Warn("an alert did not arrive", "type", next.Type, "error", err)
		if i == len(alertPauses) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(alertPauses[i]):
		}
	}
}

// try makes one attempt and returns why it failed, "" when it did not.
func (a *Alerts) try(ctx context.Context, id string, body []byte) string {
	signature, err := signing.Headers(a.signing, id, time.Now(), body)
	if err != nil {
		return err.Error()
	}
	answer, err := a.guard.Do(ctx, egress.Request{
		Method: http.MethodPost, URL: a.url, Body: body, Timeout: hook.DefaultDeliveryTimeout,
		Header: append(signature, hook.Header{Name: "Content-Type", Value: "application/json"},
			hook.Header{Name: "User-Agent", Value: "Hookkeeper/" + a.version}),
	})
	attempt := hook.Attempt{Status: answer.Status}
	switch {
	case err != nil:
		return err.Error()
	case !attempt.OK():
		return attempt.Words()
	}
	return ""
}

// Warn tells what an operator should look at before requests are refused for it, in words, or that it has passed.
func (a *Alerts) Warn(message string) { a.tell("server.warning", alertData{Reason: message}) }
