package web

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// Why a socket is closed: codes of RFC 6455 section 7.4 that app.js acts on.
const (
	closeRestart = websocket.CloseGoingAway       // come back in a while
	closeEnded   = websocket.ClosePolicyViolation // the login has ended
	closeSlow    = websocket.CloseTryAgainLater   // come back at once and catch up
)

const (
	writeWait = 5 * time.Second
	closeWait = time.Second
	pongWait  = 70 * time.Second // twice the pings of live.Hub and some
)

// wsConn is one WebSocket. The library behind it is used in this file only. Writing is safe for concurrent use.
type wsConn struct {
	conn *websocket.Conn

	ending   sync.Once
	writing  sync.Mutex
	since    time.Time // of the window in which received are counted
	received int
}

// upgrader gives connections small buffers and shares those for writing: most sockets are idle most of the time. It never
// compresses, because the limit of a message counts compressed bytes. The origin was checked before.
var upgrader = websocket.Upgrader{
	HandshakeTimeout: writeWait,
	ReadBufferSize:   256,
	WriteBufferSize:  4096,
	WriteBufferPool:  &sync.Pool{},
	CheckOrigin:      func(*http.Request) bool { return true },
}

// upgrade turns a request into a socket. A request that is none was answered; the error is for the log only.
func upgrade(w http.ResponseWriter, r *http.Request) (*wsConn, error) {
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return nil, err
	}
	c := &wsConn{conn: conn}
	conn.SetReadLimit(hook.MaxSocketMessage)
	_ = conn.SetReadDeadline(time.Now().Add(pongWait))
	conn.SetPongHandler(func(string) error { return c.heard() })
	conn.SetPingHandler(func(data string) error {
		if err := c.heard(); err != nil {
			return err
		}
		return conn.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(writeWait))
	})
	return c, nil
}

var errChatty = errors.New("the viewer says too much")

// heard counts a message of the viewer and gives it more time. A browser says little: what says more is not our page.
func (c *wsConn) heard() error {
	now := time.Now()
	if now.Sub(c.since) > hook.SocketWindow {
		c.since, c.received = now, 0
	}
	if c.received++; c.received > hook.MaxSocketMessages {
		return errChatty
	}
	return c.conn.SetReadDeadline(now.Add(pongWait))
}

// read hands each message of the viewer to got until the socket is closed, and closes it. It returns why.
func (c *wsConn) read(got func(message []byte)) error {
	defer c.hangUp()
	for {
		kind, message, err := c.conn.ReadMessage()
		if err == nil {
			err = c.heard()
		}
		switch {
		case errors.Is(err, errChatty), err == nil && kind != websocket.TextMessage:
			c.end(closeEnded, "")
			return err
		case err != nil: // what the library has to say about it, it has said
			return err
		case !utf8.Valid(message): // RFC 6455 section 8.1; the library leaves that to us
			c.end(websocket.CloseInvalidFramePayloadData, "")
			return nil
		}
		got(message)
	}
}

// write sends one frame; it blocks for at most writeWait.
func (c *wsConn) write(frame []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if err := c.conn.SetWriteDeadline(time.Now().Add(writeWait)); err != nil {
		return err
	}
	return c.conn.WriteMessage(websocket.TextMessage, frame)
}

func (c *wsConn) ping() error {
	return c.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(writeWait))
}

// close is end for callers that must not wait.
func (c *wsConn) close(code int, reason string) { go c.end(code, reason) }

// end says why and has the viewer hang up; one that does not, or does not even read, is cut off after closeWait. Only the
// first reason counts.
func (c *wsConn) end(code int, reason string) {
	c.ending.Do(func() {
		message := websocket.FormatCloseMessage(code, reason)
		if c.conn.WriteControl(websocket.CloseMessage, message, time.Now().Add(closeWait)) != nil {
			_ = c.conn.Close()
			return
		}
		time.AfterFunc(closeWait, func() { _ = c.conn.Close() })
	})
}

// hangUp closes the connection once the viewer has done so, or after closeWait. Were it closed with something of the
// viewer's unread, it would be reset, and what the viewer was told last might be lost.
func (c *wsConn) hangUp() {
	conn := c.conn.NetConn()
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	_ = conn.SetReadDeadline(time.Now().Add(closeWait))
	_, _ = io.Copy(io.Discard, conn)
	_ = c.conn.Close()
}
