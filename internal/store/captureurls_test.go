package store_test

import (
	"database/sql"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

func fullCaptureURL(owner hook.User) hook.CaptureURL {
	return hook.CaptureURL{
		OwnerID: owner.ID, Name: "orders <b>", Slug: "orders", Paused: true, CORS: true, Keep: hook.Keep{Requests: 1, Days: 2, Bytes: 3}, Rate: 0.25,
		Response: hook.Response{
			Status: 418, Headers: []hook.Header{{Name: "X-A", Value: "1"}, {Name: "X-A", Value: everyByte}}, Body: []byte(everyByte),
			Delay: 25 * time.Second,
		},
	}
}

func TestCaptureURLComesBackAsItWas(t *testing.T) {
	path := newPath(t)
	s := reopen(t, path)
	want := fullCaptureURL(storetest.User(t, s, false))
	must(t, s.CreateCaptureURL(t.Context(), &want))
	if want.ID == 0 || time.Since(want.CreatedAt) > time.Minute {
		t.Errorf("created with id %d at %s", want.ID, want.CreatedAt)
	}
	wantEqual(t, "in memory", s.CaptureURLBySlug("orders"), &want)
	capture(t, s, want.ID, 10)
	counts := stats(t, s, want.ID)
	closeStore(t, s)
	s = reopen(t, path)
	wantEqual(t, "from disk", s.CaptureURLBySlug("orders"), &want)
	got, err := s.CaptureURL(t.Context(), hook.System, want.ID)
	must(t, err)
	counts.LastRequestAt = counts.LastRequestAt.UTC().Truncate(time.Microsecond)
	wantEqual(t, "with counts", got, hook.CaptureURLStats{CaptureURL: want, Stats: counts})
}

func TestUpdateCaptureURL(t *testing.T) {
	path := newPath(t)
	s := reopen(t, path)
	u := storetest.CaptureURL(t, s)
	capture(t, s, u.ID, 10)
	want := fullCaptureURL(hook.User{ID: u.OwnerID})
	want.ID, want.Slug, want.CreatedAt = u.ID, u.Slug, u.CreatedAt
	got, err := s.UpdateCaptureURL(t.Context(), hook.System, u.ID, func(fields *hook.CaptureURL) error {
		*fields = want
		fields.ID, fields.OwnerID, fields.Slug, fields.CreatedAt = 1, 2, "other", time.Time{} // these stay
		return nil
	})
	must(t, err)
	wantEqual(t, "updated", got, hook.CaptureURLStats{CaptureURL: want, Stats: stats(t, s, u.ID)})
	_, err = s.UpdateCaptureURL(t.Context(), hook.System, u.ID, func(fields *hook.CaptureURL) error {
		fields.Name = "never stored"
		return io.EOF
	})
	if !errors.Is(err, io.EOF) {
		t.Errorf("the error of the change: got %v", err)
	}
	wantEqual(t, "in memory", s.CaptureURLBySlug(u.Slug), &want)
	closeStore(t, s)
	wantEqual(t, "on disk", reopen(t, path).CaptureURLBySlug(u.Slug), &want)
}

func TestUpdatesDoNotOverwriteEachOther(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	u := storetest.CaptureURL(t, s)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			_, err := s.UpdateCaptureURL(t.Context(), hook.System, u.ID, func(fields *hook.CaptureURL) error {
				fields.Keep.Requests++
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	wantEqual(t, "counted", s.CaptureURLBySlug(u.Slug).Keep.Requests, int64(20))
}

func TestSlugIsTakenOnce(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	owner := storetest.User(t, s, false)
	errs := make(chan error, 16)
	for range cap(errs) {
		go func() {
			errs <- s.CreateCaptureURL(t.Context(), &hook.CaptureURL{OwnerID: owner.ID, Name: "a", Slug: "orders"})
		}()
	}
	var won int
	for range cap(errs) {
		if err := <-errs; err == nil {
			won++
		} else {
			wantKind(t, "a second one", err, hook.Conflict)
		}
	}
	wantEqual(t, "created", won, 1)
	list, err := s.CaptureURLs(t.Context(), hook.System, store.CaptureURLPage{})
	must(t, err)
	wantEqual(t, "in the list", len(list), 1)
	wantEqual(t, "another case is another slug", s.CaptureURLBySlug("Orders"), nil)
}

// TestDeletedCaptureURL is gone at once, its rows follow, and its slug stays with its owner until an admin releases it.
func TestDeletedCaptureURL(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	ctx := t.Context()
	owner, other := storetest.User(t, s, false), storetest.User(t, s, false)
	create := func(user hook.User) error {
		return s.CreateCaptureURL(ctx, &hook.CaptureURL{OwnerID: user.ID, Name: "a", Slug: "orders"})
	}
	reserved := func() []store.ReservedSlug {
		list, err := s.ReservedSlugs(ctx, hook.System, "", 10)
		must(t, err)
		return list
	}
	must(t, create(owner))
	u := s.CaptureURLBySlug("orders")
	var id hook.ID
	for range 250 {
		id = capture(t, s, u.ID, 10)
	}
	must(t, s.MarkSeen(ctx, owner.ID, u.ID, id))
	wantEqual(t, "reserved while it is there", reserved(), nil)
	wantKind(t, "releasing it while it is there", s.ReleaseSlugs(ctx, hook.System, "orders"), hook.NotFound)
	must(t, s.DeleteCaptureURL(ctx, hook.System, u.ID, true))
	must(t, s.DeleteCaptureURL(ctx, hook.System, storetest.CaptureURLOf(t, s, owner).ID, true)) // its generated slug is in nobody's way
	wantGone(t, s, u.ID, id)
	wantKind(t, "deleting it again", s.DeleteCaptureURL(ctx, hook.System, u.ID, true), hook.NotFound)
	wantEqual(t, "reserved", reserved(), []store.ReservedSlug{{Slug: "orders", OwnerEmail: owner.Email}})
	purge(t, s)
	for _, table := range []string{"requests", "capture_urls", "capture_url_stats", "seen"} {
		wantEqual(t, "rows of "+table, number(t, s, "SELECT count(*) FROM "+table), 0)
	}
	wantKind(t, "another user", create(other), hook.Conflict)
	wantEqual(t, "still reserved", reserved(), []store.ReservedSlug{{Slug: "orders", OwnerEmail: owner.Email}})
	must(t, create(owner))
	must(t, s.DeleteCaptureURL(ctx, hook.System, s.CaptureURLBySlug("orders").ID, true))
	must(t, s.ReleaseSlugs(ctx, hook.System, "orders"))
	wantKind(t, "releasing it again", s.ReleaseSlugs(ctx, hook.System, "orders"), hook.NotFound)
	must(t, create(other)) // before the rows of the deleted one are gone
	purge(t, s)
	wantEqual(t, "whose it is now", s.CaptureURLBySlug("orders").OwnerID, other.ID)
}

// wantGone looks for a deleted capture URL and a request of it in every way there is.
func wantGone(t *testing.T, s *store.Store, id, request hook.ID) {
	t.Helper()
	ctx := t.Context()
	wantKind(t, "reading it", errOf(s.CaptureURL(ctx, hook.System, id)), hook.NotFound)
	wantKind(t, "a capture", s.Capture(storetest.Request(id, 10)), hook.NotFound)
	wantKind(t, "its requests", errOf(s.Requests(ctx, hook.System, id, store.RequestPage{Limit: 1})), hook.NotFound)
	wantKind(t, "a request of it", errOf(s.Request(ctx, hook.System, request)), hook.NotFound)
	wantKind(t, "deleting a request of it", s.DeleteRequest(ctx, hook.System, request, true), hook.NotFound)
	wantKind(t, "clearing it", errOf(s.ClearRequests(ctx, hook.System, id, true)), hook.NotFound)
	list, err := s.CaptureURLs(ctx, hook.System, store.CaptureURLPage{})
	must(t, err)
	if slices.ContainsFunc(list, func(u hook.CaptureURLStats) bool { return u.ID == id }) {
		t.Error("it is in the list")
	}
}

func TestDeletedCaptureURLStaysDeletedAfterRestart(t *testing.T) {
	path := newPath(t)
	s := reopen(t, path)
	u := storetest.CaptureURL(t, s)
	id := capture(t, s, u.ID, 10)
	must(t, s.DeleteCaptureURL(t.Context(), hook.System, u.ID, true))
	closeStore(t, s)
	s = reopen(t, path)
	wantGone(t, s, u.ID, id)
	wantEqual(t, "its slug", s.CaptureURLBySlug(u.Slug), nil)
	purge(t, s)
	wantEqual(t, "rows", number(t, s, "SELECT count(*) FROM requests"), 0)
}

// TestCaptureURLPages cuts the list by id, whoever created what at the same time, and also when the clock was set back.
func TestCaptureURLPages(t *testing.T) {
	path := newPath(t)
	var owner hook.User
	for i, year := range []int{2026, 2025} {
		synctest.Test(t, func(t *testing.T) {
			toTheYear(year)
			s := reopen(t, path)
			if i == 0 {
				owner = storetest.User(t, s, true)
			}
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() { storetest.CaptureURLOf(t, s, owner) })
			}
			wg.Wait()
			inMemory := walkPages(t, s, owner, 20*(i+1))
			closeStore(t, s)
			s = reopen(t, path)
			wantEqual(t, "the same from disk", walkPages(t, s, owner, 20*(i+1)), inMemory)
		})
	}
}

func walkPages(t *testing.T, s *store.Store, owner hook.User, want int) (all []hook.ID) {
	t.Helper()
	for page := (store.CaptureURLPage{Limit: 7}); ; {
		list, err := s.CaptureURLs(t.Context(), hook.Actor{UserID: owner.ID}, page)
		must(t, err)
		if len(list) == 0 {
			break
		}
		for _, u := range list {
			all = append(all, u.ID)
		}
		page.Before = all[len(all)-1]
	}
	wantEqual(t, "capture URLs in all pages", len(all), want)
	if !slices.IsSortedFunc(all, func(a, b hook.ID) int { return int(b - a) }) {
		t.Errorf("not the newest first: %v", all)
	}
	return all
}

func TestCaptureURLLimit(t *testing.T) {
	path := newPath(t)
	s := reopen(t, path)
	u := storetest.CaptureURL(t, s)
	closeStore(t, s)
	db := openRaw(t, path)
	exec(t, db, `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
		INSERT INTO capture_urls SELECT i, $2, 'a', 'slug' || i, 0, 0, 0, 0, 0, 200, 0, x'', x'', 0, NULL, 0 FROM n`,
		hook.MaxCaptureURLs-2, u.OwnerID)
	exec(t, db, "INSERT INTO capture_url_stats SELECT id, 0, 0, 0, 0, 0, 0, 0 FROM capture_urls WHERE id < $1", hook.MaxCaptureURLs)
	exec(t, db, "INSERT INTO slugs (slug, owner_id) SELECT slug, owner_id FROM capture_urls WHERE id < $1", hook.MaxCaptureURLs)
	must(t, db.Close())
	s = reopen(t, path)
	create := func(owner hook.ID) error {
		return s.CreateCaptureURL(t.Context(), &hook.CaptureURL{OwnerID: owner, Name: "a"})
	}
	must(t, create(u.OwnerID)) // the last one
	err := create(u.OwnerID)
	wantKind(t, "one too many", err, hook.Conflict)
	wantLimit(t, "one too many", err, hook.LimitCaptureURLs)
	if err != nil && !strings.Contains(err.Error(), "10000") {
		t.Errorf("the error does not tell the limit: %v", err)
	}
	must(t, create(storetest.User(t, s, false).ID))
	must(t, s.DeleteCaptureURL(t.Context(), hook.System, u.ID, true))
	must(t, create(u.OwnerID))
}

// reserve gives a user n reserved slugs: prefix1, prefix2 and so on.
func reserve(t *testing.T, s *store.Store, owner hook.User, prefix string, n int) {
	t.Helper()
	must(t, s.Do(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.Exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
			INSERT INTO slugs (slug, owner_id) SELECT $2 || i, $3 FROM n`, n, prefix, owner.ID)
		return err
	}))
}

// TestReservedSlugsCount: who creates and deletes capture URLs with chosen addresses without an end meets the limit, and is
// told how to go on.
func TestReservedSlugsCount(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	ctx := t.Context()
	admin, owner := storetest.User(t, s, true), storetest.User(t, s, false)
	by := hook.Actor{UserID: owner.ID}
	create := func(user hook.User, slug string) error {
		return s.CreateCaptureURL(ctx, &hook.CaptureURL{OwnerID: user.ID, Name: "a", Slug: slug})
	}
	remove := func(slug string) { must(t, s.DeleteCaptureURL(ctx, by, s.CaptureURLBySlug(slug).ID, true)) }
	reserve(t, s, owner, "old-", hook.MaxCaptureURLs-2)
	reserve(t, s, owner, "GENERATED-", 5) // in nobody's way
	must(t, create(owner, "chosen"))
	must(t, create(owner, ""))
	for _, slug := range []string{"", "another"} {
		err := create(owner, slug)
		wantKind(t, "one too many", err, hook.Conflict)
		if err != nil && (!strings.Contains(err.Error(), "10000") || !strings.Contains(err.Error(), "elease")) {
			t.Errorf("the error does not tell what to do: %v", err)
		}
	}
	wantEqual(t, "a slug that was refused", number(t, s, "SELECT count(*) FROM slugs WHERE slug = 'another'"), 0)
	must(t, create(owner, "old-7")) // was counted already
	remove("chosen")
	wantKind(t, "after a chosen one is deleted", create(owner, "another"), hook.Conflict)
	must(t, create(owner, "chosen"))
	wantKind(t, "releasing another's", s.ReleaseSlugs(ctx, hook.Actor{UserID: admin.ID + 1e6}, "old-8"), hook.NotFound)
	must(t, s.ReleaseSlugs(ctx, by, "old-8"))
	must(t, create(owner, "another"))

	// What a user leaves behind does not use up the limit of whoever gets it.
	must(t, s.DeleteUser(ctx, owner.ID, store.DeleteUserOptions{WithData: true}))
	must(t, create(admin, ""))
	must(t, create(admin, "old-9"))
	wantEqual(t, "counted from now on", number(t, s, "SELECT count(*) FROM slugs WHERE NOT inherited AND slug = 'old-9'"), 1)
}

// TestReservedSlugsInPages: every one can be reached and released.
func TestReservedSlugsInPages(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	ctx := t.Context()
	ann, bob := storetest.User(t, s, false), storetest.User(t, s, false)
	const each, page = 1100, 70
	reserve(t, s, ann, "ann-", each)
	reserve(t, s, bob, "bob-", each)
	must(t, s.CreateCaptureURL(ctx, &hook.CaptureURL{OwnerID: ann.ID, Name: "a", Slug: "ann-500"}))
	for _, test := range []struct {
		by   hook.Actor
		want int
	}{{hook.Actor{UserID: bob.ID}, each}, {hook.System, each - 1}} { // when bob has released all of his
		released := 0
		for after := ""; ; {
			list, err := s.ReservedSlugs(ctx, test.by, after, page)
			must(t, err)
			if len(list) == 0 {
				break
			}
			var slugs []string
			for _, r := range list {
				slugs = append(slugs, r.Slug)
			}
			after = slugs[len(slugs)-1]
			released += len(slugs)
			must(t, s.ReleaseSlugs(ctx, test.by, slugs...))
		}
		wantEqual(t, "released", released, test.want)
	}
	wantKind(t, "too many at once", s.ReleaseSlugs(ctx, hook.System, make([]string, hook.MaxPageItems+1)...), hook.Invalid)
}

func TestCaptureURLNeedsAnOwner(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	err := s.CreateCaptureURL(t.Context(), &hook.CaptureURL{OwnerID: 1, Name: "a", Slug: "orders"})
	wantKind(t, "an owner who is gone", err, hook.NotFound)
	wantEqual(t, "in memory", s.CaptureURLBySlug("orders"), nil)
	wantEqual(t, "slugs", number(t, s, "SELECT count(*) FROM slugs"), 0)
}

// TestAnswersOfOneUser: all answers of a user are in memory, so they have a limit together. What was more before may shrink, and
// everything else may be changed.
func TestAnswersOfOneUser(t *testing.T) {
	s := storetest.Open(t, store.Options{})
	owner := storetest.User(t, s, false)
	answer := func(size int) hook.Response { return hook.Response{Status: 200, Body: make([]byte, size)} }
	create := func(owner hook.User, r hook.Response) (hook.CaptureURL, error) {
		u := hook.CaptureURL{OwnerID: owner.ID, Name: "orders", Response: r}
		return u, s.CreateCaptureURL(t.Context(), &u)
	}
	change := func(u hook.CaptureURL, f func(*hook.CaptureURL)) error {
		_, err := s.UpdateCaptureURL(t.Context(), hook.System, u.ID, func(u *hook.CaptureURL) error {
			f(u)
			return nil
		})
		return err
	}
	full, err := create(owner, answer(hook.MaxResponses-10)) // larger than one may be, which is not for the store to know
	must(t, err)
	_, err = create(owner, answer(11))
	wantKind(t, "eleven bytes more", err, hook.Invalid)
	refused, _ := errors.AsType[*hook.Error](err)
	if !strings.Contains(fmt.Sprint(refused.Fields), strconv.Itoa(hook.MaxResponses)+" in all is the most") {
		t.Errorf("the error does not tell the limit: %v", err)
	}
	headers := answer(0)
	headers.Headers = []hook.Header{{Name: "X-Name", Value: "12345"}}
	_, err = create(owner, headers)
	wantKind(t, "eleven bytes of headers", err, hook.Invalid)
	u, err := create(owner, answer(10))
	must(t, err)
	wantKind(t, "a larger one", change(u, func(u *hook.CaptureURL) { u.Response = answer(11) }), hook.Invalid)
	must(t, change(u, func(u *hook.CaptureURL) { u.Name = "renamed" }))
	must(t, change(full, func(u *hook.CaptureURL) { u.Response = answer(0) }))
	must(t, change(u, func(u *hook.CaptureURL) { u.Response = answer(hook.MaxResponses) }))
	_, err = create(storetest.User(t, s, false), answer(11))
	must(t, err) // another user has a limit of their own
}

// TestTooManyAnswersMayShrink: a database from before there was a limit, or the capture URLs of a user that another one took
// over, can be over it.
func TestTooManyAnswersMayShrink(t *testing.T) {
	t.Parallel()
	over := hook.Response{Body: make([]byte, 100)}
	for size, ok := range map[int]bool{101: false, 100: true, 99: true} {
		r := hook.Response{Body: make([]byte, size)}
		if err := r.CheckRoom(&over, hook.MaxResponses); (err == nil) != ok {
			t.Errorf("%d bytes in place of 100: %v", size, err)
		}
	}
}
