package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/live"
	"github.com/hookkeeper/hookkeeper/internal/netid"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/templates"
)

const (
	frameRows  = 50       // request rows in one frame
	frameBytes = 64 << 10 // of their HTML
	catchUp    = 500      // requests that a returning page is told one by one; more and it reads itself again
)

// A frame is one message to the page, JSON with a type. Rows are HTML made by the component that makes them in the page.
type (
	rowsFrame struct {
		Type     string `json:"type"` // rows
		HTML     string `json:"html"` // newest first
		First    string `json:"first"`
		Last     string `json:"last"`
		LeftOut  int    `json:"left_out"` // arrivals between the page's last request and First
		Kept     int64  `json:"kept"`
		Received int64  `json:"received"`
	}
	removedFrame struct {
		Type string   `json:"type"` // removed
		IDs  []string `json:"ids"`
		Kept int64    `json:"kept"`
	}
	prunedFrame struct {
		Type string `json:"type"` // pruned
		UpTo string `json:"up_to"`
		Kept int64  `json:"kept"`
	}
	plainFrame struct {
		Type    string `json:"type"` // reset, changed, deleted, degraded
		Message string `json:"message"`
	}
	deliveriesFrame struct {
		Type          string            `json:"type"` // deliveries
		All           bool              `json:"all"`  // more than are named
		Marks         map[string]string `json:"marks"`
		Deliveries    []string          `json:"deliveries"`
		Subscriptions []string          `json:"subscriptions"`
	}
	urlsFrame struct {
		Type    string    `json:"type"` // urls
		Items   []urlItem `json:"items"`
		Removed []string  `json:"removed"`
	}
	urlItem struct {
		ID   string `json:"id"`
		HTML string `json:"html"`
	}
)

// urlSocket is the live view of one capture URL. ?after= names the newest request that the page shows; ?of=deliveries
// leaves requests out.
func (s *Server) urlSocket(w http.ResponseWriter, r *http.Request) error {
	id, ok := hook.ParseID(hook.CaptureURLPrefix, r.PathValue("id"))
	if !ok {
		return errNoPage
	}
	if _, err := s.Store.CaptureURL(r.Context(), actor(r), id); err != nil {
		return err
	}
	text := r.URL.Query().Get("after")
	after, ok := hook.ParseID(hook.RequestPrefix, text)
	if !ok && text != "" {
		return hook.Errorf(hook.Malformed, "after is not the id of a request.")
	}
	by, page := actor(r), s.page(r, "")
	if r.URL.Query().Get("of") == "deliveries" {
		return s.serveSocket(w, r, id, func(b *live.Batch) [][]byte {
			if b.Deliveries == nil && !b.Deleted {
				return nil
			}
			return b.Frames(func(b *live.Batch) [][]byte { return s.urlFrames(page, b) })
		}, nil)
	}
	return s.serveSocket(w, r, id, func(b *live.Batch) [][]byte {
		return b.Frames(func(b *live.Batch) [][]byte { return s.urlFrames(page, b) })
	}, func(ctx context.Context) ([][]byte, error) { return s.catchUpFrames(ctx, by, page, id, after) })
}

// homeSocket is the live view of the list of capture URLs.
func (s *Server) homeSocket(w http.ResponseWriter, r *http.Request) error {
	by, page := actor(r), s.page(r, "")
	return s.serveSocket(w, r, live.Home, func(b *live.Batch) [][]byte { return s.homeFrames(by, page, b) }, nil)
}

// serveSocket opens a socket on a topic. first makes what the viewer is told before anything else.
func (s *Server) serveSocket(w http.ResponseWriter, r *http.Request, topic hook.ID, frames func(*live.Batch) [][]byte,
	first func(context.Context) ([][]byte, error),
) error {
	if !s.Site.SameOrigin(r) {
		return hook.Errorf(hook.Forbidden, "A live view is opened by a page of this dashboard only.")
	}
	visitor := visitorOf(r)
	var conn *wsConn
	opened := make(chan struct{})
	who := viewer{
		session: visitor.hash, user: visitor.user.ID, epoch: visitor.user.SessionEpoch, addr: s.countedAddr(r),
	}
	release, err := s.sockets.register(who, func(code int) {
		go func() {
			<-opened
			if conn != nil {
				conn.close(code, "")
			}
		}()
	})
	if err != nil {
		return err
	}
	if err := s.stillValid(r.Context(), who); err != nil { // it may have ended before the socket was registered
		close(opened)
		release()
		return err
	}
	conn, err = upgrade(w, r)
	close(opened)
	if err != nil {
		release()
		return nil // answered by the library
	}
	v := s.Hub.Join(topic, func(b *live.Batch) error { return deliver(conn, b, frames) }, func(why error) {
		if timeout, ok := errors.AsType[net.Error](why); errors.Is(why, live.ErrSlow) || ok && timeout.Timeout() {
			s.Tally.Count(hook.LimitSlowViewer)
		}
		conn.close(closeSlow, "too slow")
	})
	if err := tellFirst(r.Context(), conn, first); err != nil {
		s.Log.Warn("a live view was not opened", "error", err)
		conn.close(closeSlow, "not now")
	}
	v.Start()
	go func() { // not the request's goroutine: that one has a large stack by now
		defer release()
		defer v.Leave()
		why := conn.read(func(message []byte) {
			if saysVisible(message) {
				s.touchViewer(visitor.hash)
			}
		})
		if errors.Is(why, errChatty) {
			s.Tally.Count(hook.LimitChattyViewer)
		}
	}()
	return nil
}

// stillValid returns errLogin when the viewer's session has ended.
func (s *Server) stillValid(ctx context.Context, v viewer) error {
	if v.session == "" {
		return nil
	}
	valid, err := s.viewerValid(ctx, v)
	if err == nil && !valid {
		return errLogin
	}
	return err
}

func tellFirst(ctx context.Context, conn *wsConn, first func(context.Context) ([][]byte, error)) error {
	if first == nil {
		return nil
	}
	frames, err := first(ctx)
	if err != nil {
		return err
	}
	return writeAll(conn, frames)
}

func deliver(conn *wsConn, b *live.Batch, frames func(*live.Batch) [][]byte) error {
	switch {
	case b.Ping:
		return conn.ping()
	case b.Degraded != nil:
		return conn.write(encode(plainFrame{Type: "degraded", Message: *b.Degraded}))
	}
	return writeAll(conn, frames(b))
}

func writeAll(conn *wsConn, frames [][]byte) error {
	for _, frame := range frames {
		if err := conn.write(frame); err != nil {
			return err
		}
	}
	return nil
}

// saysVisible reports whether a message is the one that pages send: somebody is looking. Others mean nothing here.
func saysVisible(message []byte) bool {
	var said struct{ Type string }
	return json.Unmarshal(message, &said) == nil && said.Type == "visible"
}

// touchViewer counts a sign of life from a visible page as use of the session.
func (s *Server) touchViewer(session string) {
	if session == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), writeWait)
	defer cancel()
	s.touchSession(ctx, session)
}

// countedAddr returns the address that a socket counts for, the zero Addr for this machine and for trusted proxies.
func (s *Server) countedAddr(r *http.Request) netip.Addr {
	addr := s.Site.Proxies.Client(r)
	if addr.IsLoopback() {
		return netip.Addr{}
	}
	for _, prefix := range s.Site.Proxies.Trusted {
		if prefix.Contains(addr) {
			return netip.Addr{}
		}
	}
	return netid.Network(addr)
}

// catchUpFrames tells a page what came after the newest request it shows.
func (s *Server) catchUpFrames(ctx context.Context, by hook.Actor, page templates.Page, id, after hook.ID) ([][]byte, error) {
	if after == 0 {
		after = 1 // the page was empty
	}
	rows, err := s.Store.Requests(ctx, by, id, store.RequestPage{After: after, Limit: catchUp + 1})
	if err != nil {
		return nil, err
	}
	if len(rows) > catchUp {
		return [][]byte{encode(plainFrame{Type: "reset"})}, nil
	}
	var frames [][]byte
	for len(rows) > 0 {
		n := min(frameRows, len(rows))
		batch := unreadRows(rows[:n])
		slices.Reverse(batch)
		if err := s.markOutcomes(ctx, batch); err != nil {
			return nil, err
		}
		frames = append(frames, s.rowsFrame(page, id, batch, 0)...)
		rows = rows[n:]
	}
	return frames, nil
}

// urlFrames renders what happened to one capture URL.
func (s *Server) urlFrames(page templates.Page, b *live.Batch) (frames [][]byte) {
	kept := func() int64 {
		u, err := s.Store.CaptureURL(context.Background(), hook.System, b.CaptureURL)
		if err != nil {
			return 0 // just deleted
		}
		return u.Kept
	}
	if b.Deleted {
		return [][]byte{encode(plainFrame{Type: "deleted"})}
	}
	if b.Reset {
		return [][]byte{encode(plainFrame{Type: "reset"})}
	}
	if b.Deliveries != nil {
		return s.deliveriesFrame(b.Deliveries)
	}
	if b.Pruned != 0 {
		frames = append(frames, encode(prunedFrame{"pruned", b.Pruned.Text(hook.RequestPrefix), kept()}))
	}
	if len(b.Rows) > 0 {
		frames = append(frames, s.rowsFrame(page, b.CaptureURL, unreadRows(b.Rows), b.LeftOut)...)
	}
	if len(b.Removed) > 0 {
		removed := removedFrame{Type: "removed", Kept: kept()}
		for _, id := range b.Removed {
			removed.IDs = append(removed.IDs, id.Text(hook.RequestPrefix))
		}
		frames = append(frames, encode(removed))
	}
	if b.Changed {
		frames = append(frames, encode(plainFrame{Type: "changed"}))
	}
	return frames
}

// unreadRows returns arrivals as they stand in the list.
func unreadRows(arrivals []hook.Summary) []templates.Row {
	rows := make([]templates.Row, len(arrivals))
	for i, summary := range arrivals {
		rows[i] = templates.Row{Summary: summary, Unread: true}
	}
	return rows
}

// rowsFrame renders arrivals, newest first. What does not fit into a frame is left out, the oldest first.
func (s *Server) rowsFrame(page templates.Page, id hook.ID, rows []templates.Row, leftOut int) [][]byte {
	page.Now = time.Now()
	var html bytes.Buffer
	shown := 0
	for _, row := range rows {
		before := html.Len()
		err := templates.RequestRow(page, row).Render(context.Background(), &html)
		if err != nil || html.Len() > frameBytes && shown > 0 {
			html.Truncate(before)
			break
		}
		shown++
	}
	if shown == 0 {
		return nil
	}
	frame := rowsFrame{
		Type: "rows", HTML: html.String(), LeftOut: leftOut + len(rows) - shown,
		First: rows[shown-1].ID.Text(hook.RequestPrefix), Last: rows[0].ID.Text(hook.RequestPrefix),
	}
	if u, err := s.Store.CaptureURL(context.Background(), hook.System, id); err == nil {
		frame.Kept, frame.Received = u.Kept, u.Received
	}
	return [][]byte{encode(frame)}
}

// deliveriesFrame names what has changed, and gives the marks that the list of requests shows.
func (s *Server) deliveriesFrame(d *live.Deliveries) [][]byte {
	ctx, cancel := context.WithTimeout(context.Background(), writeWait)
	defer cancel()
	outcomes, err := s.Store.Outcomes(ctx, d.Requests)
	if err != nil {
		return nil // the next one, or the page read again, tells it
	}
	frame := deliveriesFrame{
		Type: "deliveries", All: d.All, Marks: map[string]string{},
		Deliveries: texts(d.Deliveries, hook.DeliveryPrefix), Subscriptions: texts(d.Subscriptions, hook.SubscriptionPrefix),
	}
	for id, outcome := range outcomes {
		var html bytes.Buffer
		if err := templates.RequestMark(&outcome).Render(ctx, &html); err != nil {
			return nil
		}
		frame.Marks[id.Text(hook.RequestPrefix)] = html.String()
	}
	return [][]byte{encode(frame)}
}

func texts(ids []hook.ID, prefix string) []string {
	all := make([]string, len(ids))
	for i, id := range ids {
		all[i] = id.Text(prefix)
	}
	return all
}

// homeFrames renders the news of the capture URLs that the viewer may see.
func (s *Server) homeFrames(by hook.Actor, page templates.Page, b *live.Batch) [][]byte {
	if b.Reset {
		return [][]byte{encode(plainFrame{Type: "reset"})}
	}
	ctx, cancel := context.WithTimeout(context.Background(), writeWait)
	defer cancel()
	page.Now = time.Now()
	seen, err := s.Store.SeenUpTo(ctx, by.UserID)
	if err != nil {
		return [][]byte{encode(plainFrame{Type: "reset"})}
	}
	frame := urlsFrame{Type: "urls", Items: []urlItem{}, Removed: []string{}}
	size := 0
	for _, id := range b.URLs {
		text := id.Text(hook.CaptureURLPrefix)
		if owner := b.Owners[id]; owner != live.Nobody {
			if by.MaySee(owner) {
				frame.Removed = append(frame.Removed, text)
			}
			continue
		}
		if html, err := s.homeRow(ctx, by, page, id, seen); err == nil { // else it is somebody else's, or just deleted
			frame.Items = append(frame.Items, urlItem{text, html})
			size += len(html)
		}
	}
	if size > frameBytes {
		return [][]byte{encode(plainFrame{Type: "reset"})}
	}
	if len(frame.Items)+len(frame.Removed) == 0 {
		return nil // it is not even told that others have traffic
	}
	return [][]byte{encode(frame)}
}

func encode(frame any) []byte {
	b, err := json.Marshal(frame)
	if err != nil {
		panic(err) // the frames hold strings and numbers only
	}
	return b
}

// CloseSockets closes every live view because the server stops, and waits until the pages know it, for 2 s at most. They
// come back by themselves, each after a pause of its own.
func (s *Server) CloseSockets() {
	patience := time.After(2 * closeWait)
	for _, sock := range s.sockets.endWhere(closeRestart, func(viewer) bool { return true }) {
		select {
		case <-sock.released:
		case <-patience:
			return
		}
	}
}
