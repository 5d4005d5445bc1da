// Package storetest opens real databases for tests, and makes what they need in them.
package storetest

import (
	"bytes"
	"context"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/seal"
	"github.com/hookkeeper/hookkeeper/internal/store"
)

// Open opens a new database that is closed and removed with the test.
func Open(t testing.TB, opts store.Options) *store.Store {
	t.Helper()
	if opts.Path == "" {
		opts.Path = filepath.Join(t.TempDir(), "hookkeeper.db")
	}
	if opts.Key == (seal.Key{}) {
		opts.Key = seal.NewKey()
	}
	s, err := store.Open(context.Background(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// WantSound wants the check of a database to find nothing.
func WantSound(t testing.TB, s *store.Store) {
	t.Helper()
	problems, err := s.Check(context.Background())
	for _, problem := range problems {
		t.Errorf("the check finds: %s", problem)
	}
	if err != nil {
		t.Errorf("the database cannot be checked: %v", err)
	}
}

var counter atomic.Int64

// User makes a user with an address of its own.
func User(t testing.TB, s *store.Store, admin bool) hook.User {
	t.Helper()
	u := hook.User{Email: "user" + strconv.FormatInt(counter.Add(1), 10) + "@example.com", Admin: admin}
	if err := s.CreateUser(context.Background(), &u); err != nil {
		t.Fatal(err)
	}
	return u
}

// CaptureURL makes a capture URL with an owner of its own.
func CaptureURL(t testing.TB, s *store.Store) hook.CaptureURL {
	t.Helper()
	return CaptureURLOf(t, s, User(t, s, false))
}

// CaptureURLOf makes a capture URL of a user.
func CaptureURLOf(t testing.TB, s *store.Store, owner hook.User) hook.CaptureURL {
	t.Helper()
	u := hook.CaptureURL{OwnerID: owner.ID, Name: "orders", CORS: true, Response: hook.DefaultResponse()}
	if err := s.CreateCaptureURL(context.Background(), &u); err != nil {
		t.Fatal(err)
	}
	return u
}

// Subscription makes a subscription of a capture URL that wants everything; change alters it before it is stored.
func Subscription(t testing.TB, s *store.Store, captureURL hook.ID, change ...func(*hook.Subscription)) hook.Subscription {
	t.Helper()
	sub := hook.NewSubscription()
	sub.CaptureURLID, sub.Name, sub.TargetURL = captureURL, "shop", "https://shop.example.com/hooks"
	for _, f := range change {
		f(&sub)
	}
	if err := s.CreateSubscription(context.Background(), hook.System, &sub); err != nil {
		t.Fatal(err)
	}
	return sub
}

// Routed is Request with deliveries to subscriptions.
func Routed(captureURL hook.ID, n int, subscriptions ...hook.ID) *hook.Request {
	r := Request(captureURL, n)
	for _, id := range subscriptions {
		r.Routes = append(r.Routes, hook.Route{Subscription: id, Refused: hook.Delivered})
	}
	return r
}

// Request returns a request for a capture URL with a body of n bytes, as a payment provider would send it.
func Request(captureURL hook.ID, n int) *hook.Request {
	return &hook.Request{
		Summary: hook.Summary{
			CaptureURLID: captureURL, Method: "POST", Scheme: "http", Host: "localhost:8080", Path: "/in/orders/stripe", Query: "a=1",
			Proto: "HTTP/1.1", RemoteAddr: "127.0.0.1:54321", ClientAddr: "127.0.0.1", ContentType: "application/json",
			BodySize: int64(n), ResponseStatus: 200,
		},
		Headers: []hook.Header{
			{Name: "Host", Value: "localhost:8080"},
			{Name: "Accept", Value: "*/*"},
			{Name: "Content-Length", Value: "1024"},
			{Name: "Content-Type", Value: "application/json"},
			{Name: "User-Agent", Value: "Stripe/1.0"},
		},
		Body: bytes.Repeat([]byte("x"), n),
	}
}
