package cli

import (
	"context"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/lmittmann/tint"
	"golang.org/x/term"

	"github.com/hookkeeper/hookkeeper/internal/config"
)

// newLogger returns the logger of a server: lines for people on a terminal, JSON objects for programs elsewhere, unless
// the setting says otherwise.
func newLogger(w io.Writer, c config.Config) *slog.Logger {
	terminal := isTerminal(w)
	switch {
	case c.LogFormat == "json" || c.LogFormat == "auto" && !terminal:
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: c.LogLevel}))
	case terminal:
		colourless := os.Getenv("NO_COLOR") != ""
		return slog.New(tint.NewTextHandler(w, &tint.Options{Level: c.LogLevel, TimeFormat: time.TimeOnly, NoColor: colourless}))
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: c.LogLevel}))
}

// httpLog handles the lines of net/http's server. Most are about what strangers send; that connections cannot be accepted is the
// operator's business, and net/http pauses between two such lines.
type httpLog struct{ slog.Handler }

func (h httpLog) Enabled(context.Context, slog.Level) bool { return true }

func (h httpLog) Handle(ctx context.Context, line slog.Record) error {
	if strings.HasPrefix(line.Message, "http: Accept error") {
		line.Level = slog.LevelWarn
	}
	if !h.Handler.Enabled(ctx, line.Level) {
		return nil
	}
	return h.Handler.Handle(ctx, line)
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
