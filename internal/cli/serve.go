package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/hookkeeper/hookkeeper/internal/auth"
	"github.com/hookkeeper/hookkeeper/internal/capture"
	"github.com/hookkeeper/hookkeeper/internal/config"
	"github.com/hookkeeper/hookkeeper/internal/delivery"
	"github.com/hookkeeper/hookkeeper/internal/egress"
	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/live"
	"github.com/hookkeeper/hookkeeper/internal/netid"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/internal/tally"
	"github.com/hookkeeper/hookkeeper/web"
)

const (
	drainGrace = 8 * time.Second // for requests that were accepted before the drain
	// gcPercent trades memory that is small here for time that is spent on every capture: the live heap of a busy
	// server is a few MB.
	gcPercent = 400
	// memoryLimit is where the garbage collector begins to work harder all the same: with ten thousand viewers and a quarter of
	// a gigabyte of bodies on their way, four times the live heap would be more than a small machine has.
	memoryLimit = 400 << 20
)

// server is the parts of a running `hookkeeper serve`.
type server struct {
	config  config.Config
	log     *slog.Logger
	stderr  io.Writer
	store   *store.Store
	hub     *live.Hub
	capture *capture.Handler
	guard   *egress.Guard
	worker  *delivery.Worker
	replays *delivery.Replays
	alerts  *delivery.Alerts
	alarm   alarm // that requests cannot be stored
	web     *web.Server
	http    *http.Server
	conns   *web.Conns
	setup   *setupLink
	tally   tally.Tally
	files   descriptors
}

// serve runs the server until a signal or ctx ends it.
func serve(ctx context.Context, c config.Config, log *slog.Logger, stderr io.Writer) (err error) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	files, err := openFiles()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return fmt.Errorf("the data directory cannot be made: %w", err)
	}
	unlock, err := lockDataDir(c.DataDir)
	if err != nil {
		return err
	}
	defer unlock()
	log.LogAttrs(ctx, slog.LevelInfo, "settings", c.LogAttrs()...)
	warnOfProxy(log)
	if files.scarce() {
		log.Warn(files.warning(), "connections", files.conns, "live_views", files.sockets)
	}
	s := &server{config: c, log: log, stderr: stderr, hub: live.NewHub(), files: files}
	if err := s.open(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.store.Close()) }()
	defer s.setup.remove()
	listener, err := net.Listen("tcp", c.Addr)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w", c.Addr, err)
	}
	return s.run(ctx, listener)
}

// warnOfProxy says that deliveries go their own way: a proxy would dial for them, behind the guard.
func warnOfProxy(log *slog.Logger) {
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"} {
		if os.Getenv(name) != "" {
			log.Warn("deliveries use no proxy: this variable is not read", "variable", name)
		}
	}
}

// open opens the database and builds the parts on it.
func (s *server) open(ctx context.Context) (err error) {
	c := s.config
	key, err := secretKey(ctx, c)
	if err != nil {
		return err
	}
	s.guard = egress.New(egress.Options{Allow: c.AllowTargets, MaxIdle: s.files.idle})
	if err := s.openAlerts(); err != nil {
		return err
	}
	s.store, err = store.Open(ctx, store.Options{
		Path: databasePath(c.DataDir), Keep: c.Keep, SessionIdle: c.SessionIdle, DiskReserve: c.DiskReserve, Key: key, Log: s.log,
		OnCommit: func(requests []*hook.Request) {
			s.hub.Arrived(requests)
			s.worker.Captured(requests)
		},
		OnQueue:        func(queues []hook.ID) { s.worker.Notify(queues) },
		OnReplay:       func() { s.replays.Notify() },
		OnSubscription: s.hub.Subscription,
		OnDelivery:     func(news []hook.DeliveryNews) { s.hub.Delivered(news) },
		OnPrune: func(captureURL, upTo hook.ID) {
			s.hub.Publish(live.Event{Kind: live.Pruned, CaptureURL: captureURL, Request: upTo})
		},
		OnRemove: func(captureURL hook.ID, requests []hook.ID) {
			for _, id := range requests {
				s.hub.Publish(live.Event{Kind: live.Removed, CaptureURL: captureURL, Request: id})
			}
		},
		OnOutsideChange: func(changed []hook.ID, deleted []*hook.CaptureURL) {
			for _, id := range changed {
				s.hub.Publish(live.Event{Kind: live.Changed, CaptureURL: id})
			}
			for _, u := range deleted {
				s.hub.Publish(live.Event{Kind: live.Deleted, CaptureURL: u.ID, Owner: u.OwnerID})
			}
			if s.web != nil {
				s.web.CheckSockets(context.Background())
			}
		},
		OnWarning: s.alerts.Warn,
		OnDegraded: func(message string) {
			s.hub.Broadcast(&live.Batch{Degraded: &message})
			s.alarm.set(message)
		},
	})
	if err != nil {
		return explainKey(err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.store.Close())
		}
	}()
	s.worker = delivery.New(delivery.Options{
		Store: s.store, Guard: s.guard, Version: version(), OnChange: s.alerts.Changed, Tally: &s.tally, Log: s.log,
	})
	s.replays = delivery.NewReplays(s.store, s.log)
	owner, err := s.firstUser(ctx)
	if err != nil {
		return err
	}
	if err := s.environmentToken(ctx, owner); err != nil {
		return err
	}
	site := netid.Site{
		Public: c.PublicURL, Capture: c.CaptureOrigin, Allowed: c.AllowedHosts,
		Proxies: netid.Proxies{Trusted: c.TrustedProxies, Header: c.ProxyHeader},
	}
	s.capture = capture.New(capture.Options{
		Store: s.store, Proxies: site.Proxies, Cookies: web.CookieNames(), MaxBody: c.MaxBody, SharedOrigin: c.CaptureOrigin == nil,
		Tally: &s.tally, Log: s.log,
	})
	options := web.Options{
		Store: s.store, Hub: s.hub, Capture: s.capture, Site: site, Hasher: auth.NewHasher(), Limiter: auth.NewLimiter(),
		CheckTarget: s.guard.Check, Try: s.worker.Try,
		AuthNoneAnywhere: c.AuthNoneAnywhere, Keep: c.Keep, SessionMax: c.SessionMax, MaxSockets: s.files.sockets, MaxSocketsPerAddr: c.MaxSocketsPerAddr,
		Version: version(), Tally: &s.tally, Log: s.log,
	}
	if c.AuthNone {
		options.LocalUser = &owner
	}
	if s.setup != nil {
		options.Setup = web.Setup{Hash: s.setup.hash, Expires: s.setup.expires, Done: s.setup.remove}
	}
	s.web, err = web.New(options)
	return err
}

func (s *server) openAlerts() (err error) {
	secret := ""
	if s.config.AlertURL != "" {
		if secret, err = alertSecret(s.config.DataDir); err != nil {
			return err
		}
		s.log.Info("alerts are signed", "secret", filepath.Join(s.config.DataDir, alertFile))
	}
	s.alerts = delivery.NewAlerts(s.guard, s.config.AlertURL, secret, version(), s.log)
	s.alarm.tell = s.alerts.Degraded
	return nil
}

// run serves until a signal, then drains.
func (s *server) run(ctx context.Context, listener net.Listener) (err error) {
	s.conns = &web.Conns{Max: s.files.conns, PerAddr: s.config.MaxConnsPerAddr, Trusted: s.config.TrustedProxies, Tally: &s.tally}
	s.http = &http.Server{
		Handler:                      s.web,
		ReadHeaderTimeout:            hook.HeaderTimeout,
		ReadTimeout:                  hook.HeaderTimeout + hook.BodyTimeout, // of a small body; larger ones get their own
		WriteTimeout:                 hook.MaxResponseDelay + 35*time.Second,
		IdleTimeout:                  time.Minute,
		MaxHeaderBytes:               hook.MaxHeaderBytes,
		DisableGeneralOptionsHandler: true, // OPTIONS * is for us to refuse
		ConnState:                    s.conns.StateChanged,
		ErrorLog:                     slog.NewLogLogger(httpLog{s.log.Handler()}, slog.LevelDebug),
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 6)
	go func() { done <- s.store.Run(background) }()
	go func() { done <- s.hub.Run(background) }()
	go func() { done <- s.web.Run(background) }()
	go func() { done <- s.worker.Run(background) }()
	go func() { done <- s.replays.Run(background) }()
	go func() { done <- s.alerts.Run(background) }()
	defer func() {
		stop()
		for range cap(done) {
			err = errors.Join(err, <-done)
		}
	}()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)
	served := make(chan error, 1)
	go func() { served <- s.http.Serve(s.conns.Listen(listener)) }()
	s.greet(listener.Addr())
	select {
	case err := <-served:
		return err
	case sig := <-signals:
		s.log.Info("stopping", "signal", sig.String())
	case <-ctx.Done():
	}
	return s.drain(signals)
}

// greet tells where to go. The set-up link is a secret: it goes to the terminal and to its file, never into the log.
func (s *server) greet(addr net.Addr) {
	base := baseURL(s.config, addr)
	s.log.Info("listening", "addr", addr.String(), "dashboard", base+"/")
	if s.setup != nil {
		if err := s.setup.publish(base, s.stderr); err != nil {
			s.log.Error("the set-up link could not be written to its file", "error", err)
		}
	}
}

// drain lets what was accepted come to its end. Senders are told to go elsewhere first, then nothing new is taken.
func (s *server) drain(signals <-chan os.Signal) error {
	s.web.Drain()
	s.capture.Announce()
	select {
	case <-signals:
		return errors.New("stopped by a second signal")
	case <-time.After(s.config.DrainDelay):
	}
	s.capture.Drain()
	s.web.CloseSockets()
	s.conns.Drain()
	ctx, cancel := context.WithTimeout(context.Background(), drainGrace)
	defer cancel()
	finished := make(chan error, 1)
	go func() { finished <- s.http.Shutdown(ctx) }()
	select {
	case <-signals:
		return errors.New("stopped by a second signal")
	case err := <-finished:
		if errors.Is(err, context.DeadlineExceeded) {
			s.log.Warn("some requests were cut off, because they did not end in time")
			return s.http.Close()
		}
		return err
	}
}

// databasePath returns where the database of a data directory is.
func databasePath(dataDir string) string { return filepath.Join(dataDir, "hookkeeper.db") }

// lockDataDir makes this process the only server of the directory, for as long as it lives.
func lockDataDir(dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the data directory cannot be used: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		_ = f.Close()
		return nil, fmt.Errorf("another Hookkeeper is serving from %s: stop it first, or choose another directory with "+
			"HOOKKEEPER_DATA", dir)
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("the data directory cannot be locked: %w", err)
	}
	return func() { _ = f.Close() }, nil
}
